"""Find texts that are longer than the schema's ``max_length``, column-wise: the suspected fields, then the rows.

The schema counts characters. A text never has more characters than bytes, and its number of bytes is known at no cost.
So characters are counted only in a column with a text of more bytes than the allowed characters, which is rare. Texts
inside lists: ``hub.intake.checks.list_values``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind


@dataclass(frozen=True, slots=True)
class TooLong:
    """One field's check: its message (never a value), and the rows in which the text is too long."""

    detail: str
    wrong: pl.Expr


def suspected(frame: pl.DataFrame, version: SchemaVersion, filled: Collection[str]) -> frozenset[str]:
    """Return the fields in which some row may hold a text that is too long; almost always empty.

    Args:
        frame: decoded fields of ``version``.
        version: the schema with which they were read.
        filled: columns with at least one value.
    """
    limits = {name: length for name, length in _limits(version).items() if name in filled}
    if frame.is_empty() or not limits:
        return frozenset()
    longest = frame.select(pl.col(list(limits)).str.len_bytes().max()).row(0, named=True)
    return frozenset(name for name, length in limits.items() if (longest[name] or 0) > length)


@cache
def too_long(version: SchemaVersion, field: str) -> TooLong:
    """Return the check of one field."""
    length = _limits(version)[field]
    return TooLong(f"longer than {length} characters", pl.col(field).str.len_chars() > length)


@cache
def _limits(version: SchemaVersion) -> dict[str, int]:
    found = {spec.name: spec.max_length for spec in version.fields if spec.kind is FieldKind.STRING}
    return {name: length for name, length in found.items() if length is not None}
