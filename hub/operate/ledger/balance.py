"""The ledger: per log partition, the number of consumed records against the sum of the outcomes (I5).

The transaction that moves the offset counts ``consumed``; the outcomes are counted from the audit rows
themselves. The two are kept apart, so that a row lost outside the hub shows.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, and_, cast, func, select, true, union_all

from hub.log.places import Partition
from hub.model.outcomes import Outcome
from hub.reconcile.shared.republish import JOB_LOG
from hub.warehouse.tables.core import audit, log_partition, outcome_type, release
from hub.warehouse.tables.evidence import retired
from hub.warehouse.tables.ledger import ledger_range

MOST_COUNTED = 5_000_000
"""With more records than this, ``hub ledger`` uses what the worker's check has counted in the running account."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One log partition, or a topic's sum.

    ``outcomes`` has all seven; they and ``consumed`` are numbers of records. ``off`` counts the unbalanced partitions
    of a sum, because a surplus in one must not hide a lack in another.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    consumed: int
    outcomes: dict[Outcome, int]
    off: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every consumed record has exactly one outcome."""
        return self.off == 0 and self.consumed == sum(self.outcomes.values())

    def as_json(self) -> dict[str, Any]:
        """Return ``topic``, ``partition``, ``next_offset``, ``consumed``, the seven outcome names, ``balanced``."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "next_offset": self.next_offset,
            "consumed": self.consumed,
            **{outcome.value: count for outcome, count in self.outcomes.items()},
            "balanced": self.balanced,
        }


def read_ledger(connection: Connection, exact: bool = True) -> list[LedgerRow]:
    """Return the ledger of every log partition that the hub was ever assigned, by topic and partition; one snapshot.

    Args:
        connection: of the warehouse.
        exact: count every audit row. If not, use what the running account has counted (hub.reconcile.ledger.check)
            and count only newer rows.
    """
    counted = (_outcomes(_every_row()) if exact else _outcomes(_counted_before(), _rows_since())).subquery()
    rows = connection.execute(
        select(
            log_partition.c.topic,
            log_partition.c.partition,
            log_partition.c.first_offset,
            log_partition.c.next_offset,
            log_partition.c.consumed,
            counted.c.outcome,
            counted.c.records,
        )
        .join_from(log_partition, counted, counted.c.log == log_partition.c.id, isouter=True)
        .where(log_partition.c.topic != JOB_LOG)
        .order_by(log_partition.c.topic, log_partition.c.partition)
    )
    ledger: dict[Partition, LedgerRow] = {}
    for row in rows:
        place = (row.topic, row.partition)
        if place not in ledger:
            nothing = dict.fromkeys(Outcome, 0)
            ledger[place] = LedgerRow(*place, row.first_offset, row.next_offset, row.consumed, nothing)
        if row.outcome is not None:
            ledger[place].outcomes[Outcome(row.outcome)] = int(row.records)
    return list(ledger.values())


def is_large(connection: Connection) -> bool:
    """Tell whether counting every audit row takes longer than an operator wants to wait."""
    consumed = select(func.coalesce(func.sum(log_partition.c.consumed), 0))
    return bool(connection.execute(consumed).scalar_one() > MOST_COUNTED)


def _outcomes(*counts: Select[int, str, int]) -> Select[int, str, int]:
    """Count records by log partition and outcome; a released record counts as what it became, not as parked."""
    became = select(release.c.log, release.c.outcome, func.count()).group_by(release.c.log, release.c.outcome)
    no_more = select(release.c.log, cast(Outcome.PARKED.value, outcome_type), -func.count()).group_by(release.c.log)
    each = union_all(*counts, became, no_more, *_retired()).subquery()
    total = func.sum(each.c.records).label("records")
    return select(each.c.log, each.c.outcome, total).group_by(each.c.log, each.c.outcome)


def _retired() -> tuple[Select[int, str, int], ...]:
    """Count the rows of months that were dropped after their time, as the audit log and releases had them."""
    mine = select(retired.c.log, retired.c.outcome, retired.c.records)
    no_more = select(retired.c.log, cast(Outcome.PARKED.value, outcome_type), -retired.c.records)
    return mine, no_more.where(retired.c.relation == release.name)


def _every_row() -> Select[int, str, int]:
    return select(audit.c.log, audit.c.outcome, func.count().label("records")).group_by(audit.c.log, audit.c.outcome)


def _counted_before() -> Select[int, str, int]:
    each = func.jsonb_each_text(ledger_range.c.outcomes).table_valued("key", "value", name="each").render_derived()
    records = func.sum(cast(each.c.value, BigInteger)).label("records")
    outcome = cast(each.c.key, outcome_type)
    return (
        select(ledger_range.c.log, outcome.label("outcome"), records)
        .join_from(ledger_range, each, true())
        .group_by(ledger_range.c.log, outcome)
    )


def _rows_since() -> Select[int, str, int]:
    known = (
        select(ledger_range.c.log, func.max(ledger_range.c.end_offset).label("end_offset"))
        .group_by(ledger_range.c.log)
        .subquery()
    )
    since = func.coalesce(known.c.end_offset, log_partition.c.first_offset)
    return (
        select(audit.c.log, audit.c.outcome, func.count())
        .join_from(log_partition, known, known.c.log == log_partition.c.id, isouter=True)
        .join(audit, and_(audit.c.log == log_partition.c.id, audit.c.log_offset >= since))
        .group_by(audit.c.log, audit.c.outcome)
    )


def totals_by_topic(ledger: list[LedgerRow]) -> list[LedgerRow]:
    """Add up the partitions of each topic; ``partition`` is then -1 and the offsets are sums."""
    totals: dict[str, LedgerRow] = {}
    for row in ledger:
        before = totals.get(row.topic, LedgerRow(row.topic, -1, 0, 0, 0, dict.fromkeys(Outcome, 0)))
        totals[row.topic] = LedgerRow(
            row.topic,
            -1,
            before.first_offset + row.first_offset,
            before.next_offset + row.next_offset,
            before.consumed + row.consumed,
            {outcome: before.outcomes[outcome] + row.outcomes[outcome] for outcome in Outcome},
            before.off + (not row.balanced),
        )
    return list(totals.values())
