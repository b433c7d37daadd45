"""The revision of a record: a digest of what it is made of, reckoned for many records at once.

The digest is taken of the text that Python gives for the claims as a list of tuples. Records that are published keep
their revision only while this text stays the same to the letter.
"""

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import polars as pl
import polars_hash  # noqa: F401 - registers the `chash` namespace
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
_DIGITS = 16
"""Hexadecimal digits of the digest that make the revision: eight bytes."""
_NOTHING = pa.scalar("", TEXT)


def revisions(texts: pa.Array) -> pa.Array:
    """Return a signed number of eight bytes for each text: the beginning of its SHA-256."""
    digest: pl.Expr = pl.col("text").chash.sha2_256()  # type: ignore[attr-defined]
    first = digest.str.slice(0, _DIGITS).str.decode("hex")
    number = first.bin.reinterpret(dtype=pl.Int64, endianness="big")
    return pl.Series("text", texts).to_frame().select(number)["text"].to_arrow()


def joined(*parts: pa.Array | str) -> pa.Array:
    """Return the parts joined row by row, without anything between them; null if a part is null."""
    return pc.binary_join_element_wise(*(pa.scalar(p, TEXT) if isinstance(p, str) else p for p in parts), _NOTHING)


def listed(parts: Sequence[pa.Array]) -> pa.Array:
    """Return the texts of a row as Python writes a list of them; a null is left out."""
    inside: list[pa.Array | str] = ["["]
    is_any = None
    for part in parts:
        if part.null_count == len(part):
            continue
        if is_any is not None:
            is_second = pc.and_(is_any, part.is_valid())
            inside.append(pc.if_else(is_second, pa.scalar(", ", TEXT), pa.scalar("", TEXT)))
        inside.append(pc.fill_null(part, ""))
        is_any = part.is_valid() if is_any is None else pc.or_(is_any, part.is_valid())
    return joined(*inside, "]") if is_any is not None else pa.repeat(pa.scalar("[]", TEXT), len(parts[0]))


def text_literals(column: pa.Array) -> pa.Array:
    """Return each text as Python writes it in quotes; None for null."""
    return _literals(column.cast(TEXT))


def number_literals(column: pa.Array) -> pa.Array:
    """Return each whole number as Python writes it; None for null."""
    return pc.fill_null(column.cast(TEXT), "None")


def truth_literals(column: pa.Array) -> pa.Array:
    """Return each truth as Python writes it; None for null."""
    return pc.fill_null(pc.if_else(column, pa.scalar("True", TEXT), pa.scalar("False", TEXT)), "None")


def time_literals(column: pa.Array) -> pa.Array:
    """Return each time in UTC as Python writes it; None for null."""
    return _each(column, lambda time: repr(time.replace(tzinfo=UTC)))


_PLAIN = r"^[\x20-\x26\x28-\x5b\x5d-\x7e]*$"
"""Texts that Python writes as they are, between apostrophes."""


def _literals(column: pa.Array) -> pa.Array:
    if column.null_count == len(column):
        return pa.repeat(pa.scalar("None", TEXT), len(column))
    if not pc.all(pc.match_substring_regex(column, _PLAIN)).as_py():
        return _each(column, repr)
    return pc.fill_null(joined("'", column, "'"), "None")


def _each(column: pa.Array, written: Callable[[Any], str]) -> pa.Array:
    """Write each different value once."""
    coded = column.dictionary_encode()
    table = pa.array([*map(written, coded.dictionary.to_pylist()), "None"], TEXT)
    return table.take(pc.fill_null(coded.indices, len(coded.dictionary)))


def texts_or(column: pa.Array, before: str) -> pa.Array | str:
    """Return ``before`` and each text as Python writes it; nothing for null."""
    if column.null_count == len(column):
        return ""
    return pc.if_else(column.is_valid(), joined(before, text_literals(column)), pa.scalar("", TEXT))
