"""The content of one transaction of the worker: the intake prepares it and reconcile commits it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from hub.model.keys import KEY_BYTES
from hub.model.outcomes import Reason
from hub.warehouse.copy import EncodedRows

ORDER_NEWER, ORDER_DUPLICATE, ORDER_REUSED, ORDER_STALE = 0, 1, 2, 3
"""A row compared with the earlier rows of its (identity, source), set before staging
(hub.reconcile.shared.event_order).
"""

AUDIT_SCHEMA = pl.Schema(
    {
        "log": pl.Int16(),
        "log_offset": pl.Int64(),
        "outcome": pl.String(),
        "source": pl.Int16(),
        "source_epoch": pl.Int32(),
        "source_version": pl.Int64(),
        "content_hash": pl.Int64(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "key": pl.Binary(),
        "event_id": pl.Binary(),
        "reason": pl.String(),
        "detail": pl.String(),
    }
)
"""Columns of rows whose outcome is decided before the merge."""

DEAD_LETTER_SCHEMA = pl.Schema(
    {
        "log": pl.Int16(),
        "log_offset": pl.Int64(),
        "reason": pl.String(),
        "detail": pl.String(),
        "schema_id": pl.Int64(),
        "record_key": pl.Binary(),
        "record_value": pl.Binary(),
        "value_bytes": pl.Int32(),
        "value_sha256": pl.Binary(),
        "refused_by": pl.String(),
    }
)


LINK_SCHEMA = pl.Schema(
    {"row": pl.UInt32(), "key": pl.Binary(), "source": pl.Int16(), "other": pl.Binary(), "kind": pl.String()}
)
"""Another key of the same thing that a row names."""

NO_AUDIT_ROWS, NO_DEAD_LETTERS, NO_LINKS = (
    pl.DataFrame(schema=schema) for schema in (AUDIT_SCHEMA, DEAD_LETTER_SCHEMA, LINK_SCHEMA)
)
"""Empty frames for most batches, created once."""


def audit_rows(decided: pl.DataFrame) -> pl.DataFrame:
    """Bring rows to ``AUDIT_SCHEMA``: missing columns are null, and so is a key that is not one of the hub's."""
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in AUDIT_SCHEMA.items() if name not in decided.columns]
    rows = decided.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in AUDIT_SCHEMA.items())
    return rows.with_columns(key=pl.when(pl.col("key").bin.size() == KEY_BYTES).then(pl.col("key")))


@dataclass(frozen=True, slots=True)
class Advance:
    """How a batch moves one log partition: from the offset that must be stored now to the next one to read."""

    log: int
    topic: str
    partition: int
    expected: int
    next_offset: int
    consumed: int


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows encoded for the stage, and the frame from which they were encoded, to check that it is unchanged."""

    frame: pl.DataFrame
    rows: EncodedRows


@dataclass(frozen=True, slots=True)
class Accepted:
    """A subject's rows to be merged.

    Fields:
        frame: decoded fields of the subject's schema, and row, log, log_offset, key, source, content_hash, turn,
            newest.
        values: the polled bytes by ``row``, for a row that later becomes a dead letter.
        staged: the rows encoded for the stage ahead of time, if they were.
        links: other keys of the same thing that rows name (``LINK_SCHEMA``).
    """

    subject: str
    frame: pl.DataFrame
    values: Sequence[bytes | None] = field(default=(), repr=False)
    staged: Staged | None = None
    links: pl.DataFrame = field(default_factory=lambda: NO_LINKS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records polled together, decoded and checked.

    Fields:
        advances: one per log partition; the fence (hub.warehouse.offsets).
        accepted: rows to merge, by subject.
        refused: rows already decided (``AUDIT_SCHEMA``): rejected or dead-lettered.
        dead_letters: the dead-lettered ones with their bytes (``DEAD_LETTER_SCHEMA``).
        released: whether these records were parked: they move no offset, and their outcome is written to ``release``.
        let_in: places (log, log_offset) of released records that are admitted although a reference is missing.
    """

    advances: tuple[Advance, ...]
    accepted: tuple[Accepted, ...]
    refused: pl.DataFrame = field(default_factory=lambda: NO_AUDIT_ROWS)
    dead_letters: pl.DataFrame = field(default_factory=lambda: NO_DEAD_LETTERS)
    released: bool = False
    let_in: frozenset[tuple[int, int]] = frozenset()

    @property
    def consumed(self) -> int:
        """Number of records in the batch."""
        return sum(advance.consumed for advance in self.advances)

    def places(self) -> list[tuple[int, int]]:
        """Return (log, log_offset) of every record in the batch."""
        frames = [*(accepted.frame for accepted in self.accepted), self.refused]
        return [place for frame in frames for place in frame.select("log", "log_offset").rows()]

    def unknown_schema_ids(self) -> list[int]:
        """Return the schema ids of dead letters that are not known."""
        if self.dead_letters.is_empty():
            return []
        unknown = self.dead_letters.filter(pl.col("reason") == Reason.UNKNOWN_SCHEMA_ID.value)
        return unknown["schema_id"].drop_nulls().unique().to_list()
