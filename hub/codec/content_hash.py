"""The content hash distinguishes a repeated event (duplicate) from a version number that was used for other content.

It covers the time of occurrence, the operation, the unit scheme and every data field. It does not cover the event's id,
nor when and by whom it was sent, so a connector that reads its source again causes no conflict.
"""

from collections.abc import Iterable
from itertools import groupby

import polars as pl
from polars_hash import hash_rows

from hub.codec.catalogue import SchemaVersion

_ENVELOPE_PART = ("occurred_at", "operation", "unit_scheme")


def content_hash(version: SchemaVersion) -> pl.Expr:
    """Return the expression of the content hash: Int64, never null, the same in every process and on every machine.

    Fields that a later schema version introduced count only in rows where one of them is not null. So an added optional
    field never changes the hash of content that does not use it.

    Args:
        version: the schema version whose fields the frame has, the newest of its subject.

    Needs the columns ``occurred_at``, ``operation``, ``unit_scheme`` and all data fields, typed by ``dtype_of``.
    """
    ordered = sorted(version.data_fields, key=lambda spec: spec.since)
    groups = {since: [spec.name for spec in group] for since, group in groupby(ordered, key=lambda spec: spec.since)}
    hashed = _hash([*_ENVELOPE_PART, *groups.pop(1, [])])
    for since, names in groups.items():
        is_used = pl.any_horizontal([pl.col(name).is_not_null() for name in names])
        later = _hash([pl.lit(since, pl.Int32), *names])
        hashed = hashed ^ pl.when(is_used).then(later).otherwise(pl.lit(0, pl.UInt64))
    return hashed.reinterpret(signed=True).alias("content_hash")


def _hash(columns: Iterable[str | pl.Expr]) -> pl.Expr:
    row: pl.Expr = hash_rows([pl.col(column) if isinstance(column, str) else column for column in columns])
    hashed: pl.Expr = row.nchash.xxh3_64()  # type: ignore[attr-defined]
    return hashed
