"""Texts that are longer than the schema's ``max_length``, column-wise: which fields are suspected, and which rows.

Characters are what the schema counts. A text has no more characters than bytes, and how many bytes a text has costs
nothing to ask; so characters are counted only in a column that holds a text of more bytes than it may have characters,
which is hardly ever. Texts inside lists lie in JSON text: there a pattern tells whether any of them may be too long.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind, FieldSpec

Path = tuple[str, str]
"""A field, and the field of its list's records; the latter is empty for a text that stands by itself."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """One field's check: what to say of it (never a value), and the rows in which it is too long."""

    detail: str
    wrong: pl.Expr


def suspected(frame: pl.DataFrame, version: SchemaVersion, filled: Collection[str]) -> frozenset[Path]:
    """Return the fields of which some row may hold a text that is too long; empty for almost every batch.

    Args:
        frame: decoded fields of ``version``.
        version: the schema they were read as.
        filled: columns that are not null throughout.
    """
    limits = {path: length for path, length in _limits(version).items() if path[0] in filled}
    if frame.is_empty() or not limits:
        return frozenset()
    names = sorted({field for field, _ in limits})
    longest = frame.select(pl.col(names).str.len_bytes().max()).row(0, named=True)
    over = {path: length for path, length in limits.items() if (longest[path[0]] or 0) > length}
    return frozenset(path for path, length in over.items() if not path[1] or _may_hold(frame[path[0]], path, length))


@cache
def too_long(version: SchemaVersion, path: Path) -> TooLong:
    """Return the check of one field."""
    field, item = path
    length = _limits(version)[path]
    text = pl.col(field)
    if not item:
        return TooLong(f"{field}: longer than {length} characters", text.str.len_chars() > length)
    as_list = pl.List(pl.Struct({item: pl.String()}))
    large = pl.when(text.str.len_bytes() > length).then(text)
    counted = pl.element().struct.field(item).str.len_chars() > length
    wrong = large.str.json_decode(as_list).list.eval(counted).list.any()
    return TooLong(f"{field}: {item} longer than {length} characters", wrong)


@cache
def _limits(version: SchemaVersion) -> dict[Path, int]:
    found = {(spec.name, ""): spec.max_length for spec in version.fields if spec.kind is FieldKind.STRING}
    found |= {(spec.name, item.name): item.max_length for spec in version.fields for item in _texts(spec)}
    return {path: length for path, length in found.items() if length is not None}


def _texts(spec: FieldSpec) -> tuple[FieldSpec, ...]:
    return tuple(item for item in spec.items if spec.is_array and item.kind is FieldKind.STRING)


def _may_hold(column: pl.Series, path: Path, length: int) -> bool:
    """Look for the member with so many characters after it; an escaped one counts for one at least."""
    return bool(column.str.contains(rf'"{path[1]}": ?"(?:[^"\\]|\\.){{{length + 1}}}').any())
