"""What the hub would make of a source's records: decode and check them as a worker does, but do not merge them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from hub.codec.catalogue import load_catalogue
from hub.intake.checks.check import SourceRules, check, outcome_column
from hub.intake.decode.batch import Phase, decode_batch
from hub.model.compared import Record
from hub.model.entities import SUBJECTS
from hub.model.outcomes import OUTCOME_OF_REASON

CLAIMS = pl.Schema(
    {
        "key": pl.Binary(),
        "part": pl.String(),
        "epoch": pl.Int32(),
        "version": pl.Int64(),
        "content_hash": pl.Int64(),
        "revoked": pl.Boolean(),
    }
)
"""The columns of claims that are compared: identity, order, content."""

JUDGED = pl.Schema({"row": pl.UInt32(), **CLAIMS, "refused": pl.String()})
"""Columns to compare: number in the page, identity, order, content; ``refused``: outcome and reason, else null."""

PART_SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges records of one subject by the policy in force."""

    subject: str
    rules: SourceRules
    secret: str = field(repr=False)

    def is_ordered_by_time(self, source: str) -> bool:
        """Tell whether the policy orders this source's events by time, whatever versions they have."""
        return source in self.rules.by_time

    def judge(self, records: Sequence[Record]) -> pl.DataFrame:
        """Return one row per record (``JUDGED``), in order."""
        if not records:
            return JUDGED.to_frame()
        version = load_catalogue().latest(self.subject)
        entity, aspect = SUBJECTS[self.subject]
        keys = pl.DataFrame({"row": pl.int_range(len(records), dtype=pl.UInt32, eager=True)}).with_columns(
            key=pl.Series([key for key, _ in records], dtype=pl.Binary())
        )
        decoded = decode_batch(self.subject, [value for _, value in records], _no_mark)
        frame = decoded.frame.join(keys, on="row", how="left", maintain_order="left")
        checked = check(frame, version, entity, aspect, self.rules, self.secret)
        passed = _judged(checked.passed.with_columns(refused=pl.lit(None, pl.String())), aspect.part)
        why = pl.concat_str([outcome_column(), pl.col("reason")], separator=" ")
        refused = _judged(checked.refused.with_columns(refused=why), aspect.part)
        poison = pl.DataFrame(
            {
                "row": [found.row for found in decoded.poison],
                "refused": [
                    f"{OUTCOME_OF_REASON[found.reason].value} {found.reason.value}" for found in decoded.poison
                ],
            },
            schema={"row": pl.UInt32(), "refused": pl.String()},
        ).join(keys, on="row", how="left")
        return pl.concat([passed, refused, _filled(poison)]).sort("row")


def _judged(frame: pl.DataFrame, parts: Sequence[str]) -> pl.DataFrame:
    part = pl.concat_str([pl.col(name).cast(pl.String()) for name in parts], separator=PART_SEPARATOR)
    return frame.select(
        "row",
        "key",
        (part if parts else pl.lit("")).alias("part"),
        pl.col("source_epoch").cast(pl.Int32()).alias("epoch"),
        pl.col("source_version").alias("version"),
        "content_hash",
        "revoked",
        "refused",
    )


def _filled(frame: pl.DataFrame) -> pl.DataFrame:
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in JUDGED.items() if name not in frame.columns]
    return frame.with_columns(absent).with_columns(pl.col("part").fill_null("")).select(JUDGED.names())


def _no_mark(_: Phase, __: int) -> None:
    """Do nothing: no watcher is needed for bytes that the hub made itself."""
