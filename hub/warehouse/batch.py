"""What one transaction of the worker stores: the unit that intake prepares and reconcile commits."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from hub.model.outcomes import Outcome, Reason
from hub.warehouse.copy import EncodedRows

TURN_NEWER, TURN_DUPLICATE, TURN_REUSED, TURN_STALE = 0, 1, 2, 3
"""A row against the earlier rows of its (identity, source) of a batch, set before staging (hub.reconcile.turns)."""

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
    }
)


@dataclass(frozen=True, slots=True)
class Advance:
    """How a batch moves one log partition: from the offset it expects to be stored to the next one to read."""

    log: int
    topic: str
    partition: int
    expected: int
    next_offset: int
    consumed: int


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows encoded for the stage, and the frame they were encoded from: it tells whether they are still the rows."""

    frame: pl.DataFrame
    rows: EncodedRows


@dataclass(frozen=True, slots=True)
class Accepted:
    """A subject's rows to be merged.

    Fields:
        frame: decoded fields of the subject's schema, and row, log, log_offset, key, source, content_hash, turn,
            newest.
        values: the polled bytes that ``row`` counts, for a row that turns out to be a dead letter.
        staged: the rows encoded for the stage ahead of time, if they were.
    """

    subject: str
    frame: pl.DataFrame
    values: Sequence[bytes | None] = ()
    staged: Staged | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records polled together, decoded and checked.

    Fields:
        advances: one per log partition; the fence (hub.warehouse.offsets).
        accepted: rows to merge, by subject.
        refused: rows already decided (``AUDIT_SCHEMA``): rejected or dead-lettered.
        dead_letters: the dead-lettered ones with their bytes (``DEAD_LETTER_SCHEMA``).
    """

    advances: tuple[Advance, ...]
    accepted: tuple[Accepted, ...]
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=AUDIT_SCHEMA))
    dead_letters: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DEAD_LETTER_SCHEMA))

    @property
    def consumed(self) -> int:
        """Records in the batch."""
        return sum(advance.consumed for advance in self.advances)

    def unknown_schema_ids(self) -> list[int]:
        """Return the ids of dead letters that no known schema has."""
        unknown = self.dead_letters.filter(pl.col("reason") == Reason.UNKNOWN_SCHEMA_ID.value)
        return unknown["schema_id"].drop_nulls().unique().to_list()

    def outcomes_refused(self) -> dict[Outcome, int]:
        """Count the rows decided before the merge, by outcome."""
        counts = self.refused.group_by("outcome").len().iter_rows()
        return {Outcome(name): number for name, number in counts}
