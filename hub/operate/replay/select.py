"""Keep only what a replay selects of a prepared batch, column by column, before it reaches the shadow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from hub.operate.replay.filters import Selection
from hub.reconcile.shared.event_order import ORDER_COLUMNS, with_event_order
from hub.reconcile.shared.stage import with_stage
from hub.warehouse.batch import Accepted, Batch
from hub.warehouse.tables.entities import aspect_tables

PLACE_SCHEMA = pl.Schema({"log": pl.Int16(), "log_offset": pl.Int64()})
"""Where records are in the log."""


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which events count, by their place in their log partition.

    Fields:
        selection: the plan's.
        copied: by number of the log partition, the offset from which on every event counts: the live warehouse had not
            read further when its state was copied. In partitions that are not named here, every event counts.
        discarded: places (``PLACE_SCHEMA``) of records that two people discarded: they never count.
    """

    selection: Selection
    copied: Mapping[int, int]
    discarded: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PLACE_SCHEMA))

    def keep(self, batch: Batch) -> Batch:
        """Return the batch with what is selected; its advances still cover everything that was read."""
        accepted = tuple(kept for item in batch.accepted if (kept := self._kept(item)) is not None)
        refused = self._selected(batch.refused)
        letters = batch.dead_letters.join(refused.select("log", "log_offset"), on=["log", "log_offset"], how="semi")
        return replace(batch, accepted=accepted, refused=refused, dead_letters=letters)

    def _kept(self, accepted: Accepted) -> Accepted | None:
        frame = self._selected(accepted.frame)
        if frame.height == accepted.frame.height:
            return accepted
        if frame.is_empty():
            return None
        turned = with_event_order(frame.drop(ORDER_COLUMNS), aspect_tables(accepted.subject).identity)
        turned = turned.select(accepted.frame.columns)
        links = accepted.links.join(turned.select("row"), on="row", how="semi")
        return with_stage(replace(accepted, frame=turned, staged=None, links=links))

    def _selected(self, rows: pl.DataFrame) -> pl.DataFrame:
        counted = rows.filter(self._counts(rows))
        if self.discarded.is_empty():
            return counted
        return counted.join(self.discarded, on=PLACE_SCHEMA.names(), how="anti", maintain_order="left")

    def _counts(self, frame: pl.DataFrame) -> pl.Expr:
        """Return what counts: after the copy everything; before it what is in scope, if not left out."""
        offset = pl.col("log_offset")
        beyond = offset >= _by_log(self.copied, default=0)
        ends = {one.log: one.end for one in self.selection.ranges}
        untils = {one.log: one.until for one in self.selection.ranges}
        narrow = (offset < _by_log(untils, default=0)) & self._in_time(frame)
        return beyond | (self._in_scope() & ((offset >= _by_log(ends, default=0)) | narrow))

    def _in_scope(self) -> pl.Expr:
        scope = pl.lit(True)
        if self.selection.sources is not None:
            scope = scope & pl.col("source").is_in(list(self.selection.sources.values()))
        if self.selection.keys is not None:
            scope = scope & pl.col("key").is_in([key.bytes for key in self.selection.keys])
        return scope.fill_null(False)

    def _in_time(self, frame: pl.DataFrame) -> pl.Expr:
        """Return whether the time fits. A refused record without a readable time counts: it changes nothing else."""
        inside = pl.lit(True)
        if "recorded_at" not in frame.columns:
            return inside
        if self.selection.since is not None:
            inside = inside & (pl.col("recorded_at") >= self.selection.since)
        if self.selection.until is not None:
            inside = inside & (pl.col("recorded_at") < self.selection.until)
        return inside


def _by_log(numbers: Mapping[int, int], default: int) -> pl.Expr:
    """Return the number for each row's log partition; the default if it has none."""
    if not numbers:
        return pl.lit(default, pl.Int64)
    return pl.col("log").cast(pl.Int64).replace_strict(dict(numbers), default=default, return_dtype=pl.Int64)
