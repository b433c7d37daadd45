"""Find texts that are longer than the schema's ``max_length``, column-wise: the suspected fields, then the rows.

The schema counts characters. A text never has more characters than bytes, and its number of bytes is known at no cost.
So characters are counted only in a column with a text of more bytes than the allowed characters, which is rare. Texts
inside lists are part of a JSON text; there a pattern finds whether any may be too long.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind, FieldSpec

Path = tuple[str, str]
"""A field, and the text field inside its list's records; the latter is empty for a text that is not in a list."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """One field's check: its message (never a value), and the rows in which the text is too long."""

    detail: str
    wrong: pl.Expr


def suspected(frame: pl.DataFrame, version: SchemaVersion, filled: Collection[str]) -> frozenset[Path]:
    """Return the fields in which some row may hold a text that is too long; almost always empty.

    Args:
        frame: decoded fields of ``version``.
        version: the schema with which they were read.
        filled: columns with at least one value.
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
    """Search for the member with a text of more than ``length`` characters; an escaped one counts at least once."""
    return bool(column.str.contains(rf'"{path[1]}": ?"(?:[^"\\]|\\.){{{length + 1}}}').any())
