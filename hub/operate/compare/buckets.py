"""Counts and hashes by bucket of keys: if they are equal on both sides, no row needs to be looked at.

A bucket holds the keys that begin with the same two bytes; there are 65,536 buckets. Its hash is the exclusive or of
the content hashes of its rows; a content hash also covers the fields of the key.
"""

from collections.abc import Sequence

import polars as pl

BUCKETS = 65_536
DIGESTS = pl.Schema({"bucket": pl.UInt16(), "count": pl.Int64(), "hash": pl.Int64()})
"""One row per bucket that is not empty."""

_TOGETHER = 64


def bucket() -> pl.Expr:
    """Return the bucket of a column ``key`` of 16 bytes."""
    return pl.col("key").bin.slice(0, 2).bin.reinterpret(dtype=pl.UInt16, endianness="big").alias("bucket")


class Digests:
    """Counts and hashes of rows that are read page by page; stores no rows."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self.rows = 0
        self.refused: set[int] = set()
        """Buckets of rows that the hub would refuse; each such row is to be named."""

    def add(self, judged: pl.DataFrame) -> None:
        """Add a page's rows (``JUDGED``) that count: neither revoked nor refused."""
        standing = judged.filter(~pl.col("revoked") & pl.col("refused").is_null())
        self.rows += standing.height
        self.refused.update(judged.filter(pl.col("refused").is_not_null()).select(bucket()).to_series())
        found = standing.group_by(bucket()).agg(
            pl.len().cast(pl.Int64()).alias("count"), pl.col("content_hash").bitwise_xor().alias("hash")
        )
        self._frames.append(found.cast(DIGESTS))
        if len(self._frames) >= _TOGETHER:
            self._frames = [self.frame()]

    def frame(self) -> pl.DataFrame:
        """Return the digests so far (``DIGESTS``)."""
        together = pl.concat([DIGESTS.to_frame(), *self._frames])
        return together.group_by("bucket").agg(pl.col("count").sum(), pl.col("hash").bitwise_xor())


def differing(source: pl.DataFrame, warehouse: pl.DataFrame) -> list[int]:
    """Return the buckets whose count or hash differ between two sides (``DIGESTS``)."""
    both = source.join(warehouse, on="bucket", how="full", coalesce=True, suffix="_there")
    same = pl.col("count").eq_missing(pl.col("count_there")) & pl.col("hash").eq_missing(pl.col("hash_there"))
    found: Sequence[int] = both.filter(~same).get_column("bucket").sort().to_list()
    return list(found)
