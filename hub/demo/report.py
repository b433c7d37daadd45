"""The account at the end of the demo: each record with its outcome, and whether the portal shows what the hub holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Select, func, select

from hub.demo.operator import OperatorReport
from hub.demo.portal import Shown
from hub.demo.sources.load import libpq_url
from hub.demo.stage import SOURCES, Stage
from hub.demo.watch import log_ends
from hub.log.places import Partition
from hub.model.decisions import ReviewKind
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import LedgerRow, read_ledger
from hub.operate.ledger.quality import Quality, read_quality, totals
from hub.operate.records.questions import open_counts
from hub.warehouse.tables.core import audit, conflict, dead_letter, release
from hub.warehouse.tables.entities import aspect_tables


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that was stopped, and how long it took until records were consumed again."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo showed.

    Fields:
        ends: the log's end offset by (topic, partition): what there was to consume.
        conflicts: open ones by aspect, one per field; ``conflicts_closed``: closed by themselves or by an officer.
        reviews: open ones by kind.
        quality: flagged events by source, and open flags, e.g. payments to dead people.
        decided: questions that an officer has decided.
        released: records that were parked and then released.
        reasons: number of rejected and dead-lettered records by outcome and reason.
        set_aside: rows that the connectors could not map, kept in their sources.
        busy_s: from the first record consumed to the last, outages included; ``events_per_s`` is over that time.
        operator: what the operator's act showed, if it was played.
    """

    ledger: tuple[LedgerRow, ...]
    ends: Mapping[Partition, int]
    portal: tuple[Shown, ...]
    conflicts: Mapping[str, int]
    conflicts_closed: int
    reviews: Mapping[str, int]
    quality: Quality
    decided: int
    released: int
    dead_letters: int
    reasons: Mapping[str, Mapping[str, int]]
    set_aside: int
    outages: tuple[Outage, ...]
    busy_s: float
    wall_s: float
    operator: OperatorReport | None = None

    @property
    def is_balanced(self) -> bool:
        """Whether every record in the log was consumed and has exactly one outcome (I5)."""
        consumed = {(row.topic, row.partition): row.next_offset for row in self.ledger}
        is_all_read = all(consumed.get(place, 0) == end for place, end in self.ends.items())
        return is_all_read and all(row.balanced and row.consumed == row.next_offset for row in self.ledger)

    @property
    def is_portal_equal(self) -> bool:
        """Whether the portal's topics hold exactly the golden records."""
        return not any(shown.differing for shown in self.portal) and self.records == self.portal_records

    @property
    def records(self) -> int:
        """Return the number of golden records of the published entities."""
        return sum(shown.records for shown in self.portal)

    @property
    def portal_records(self) -> int:
        """Return the number of records on the portal's topics."""
        return sum(shown.on_portal for shown in self.portal)

    @property
    def consumed(self) -> int:
        """Return the total number of records consumed."""
        return sum(row.consumed for row in self.ledger)

    @property
    def events_per_s(self) -> float:
        """Return the records consumed per second while there was something to consume."""
        return self.consumed / self.busy_s


def fetch_report(
    stage: Stage, busy_s: float, wall_s: float, outages: Sequence[Outage], portal: tuple[Shown, ...]
) -> Report:
    """Read the account from the warehouse and the log."""
    with stage.warehouse() as connection:
        return Report(
            ledger=tuple(read_ledger(connection)),
            ends=log_ends(stage.where),
            portal=portal,
            conflicts=_conflicts(connection),
            conflicts_closed=_count(connection, select(func.count()).where(conflict.c.closed_at.is_not(None))),
            reviews=_reviews(connection),
            quality=read_quality(connection),
            decided=_count(connection, select(func.count()).select_from(aspect_tables("review.decided").claim)),
            released=_count(connection, select(func.count()).select_from(release)),
            dead_letters=_count(connection, select(func.count()).select_from(dead_letter)),
            reasons=_reasons(connection),
            set_aside=sum(_set_aside(stage.urls[name]) for name in SOURCES),
            outages=tuple(outages),
            busy_s=busy_s,
            wall_s=wall_s,
        )


def report_object(report: Report) -> dict[str, Any]:
    """Return the report as ``--json`` prints it."""
    return {
        "balanced": report.is_balanced,
        "ledger": [row.as_json() for row in report.ledger],
        "records": report.records,
        "portal_records": report.portal_records,
        "portal_equal": report.is_portal_equal,
        "conflicts": sum(report.conflicts.values()),
        "conflicts_by_aspect": report.conflicts,
        "conflicts_closed": report.conflicts_closed,
        "reviews": sum(report.reviews.values()),
        "reviews_by_kind": report.reviews,
        "decided": report.decided,
        "flags": {flag.name: count for flag, count in totals(report.quality.sources).items()},
        "flags_by_source": {one.source: one.as_json()["flags"] for one in report.quality.sources},
        "standing_flags": report.quality.standing,
        "parked": sum(row.outcomes[Outcome.PARKED] for row in report.ledger),
        "released": report.released,
        "dead_letters": report.dead_letters,
        "reasons": report.reasons,
        "set_aside_by_connectors": report.set_aside,
        "outages": [{"what": outage.what, "seconds": round(outage.seconds, 2)} for outage in report.outages],
        "events": report.consumed,
        "busy_s": round(report.busy_s, 2),
        "events_per_s": round(report.events_per_s, 1),
        "wall_s": round(report.wall_s, 2),
        **({"operator": report.operator.as_json()} if report.operator else {}),
    }


def _count(connection: Connection, statement: Select[int]) -> int:
    return connection.execute(statement).scalar_one()


def _conflicts(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        select(conflict.c.aspect, func.count())
        .where(conflict.c.closed_at.is_(None))
        .group_by(conflict.c.aspect)
        .order_by(conflict.c.aspect)
    )
    return {aspect: count for aspect, count in rows}


def _reviews(connection: Connection) -> dict[str, int]:
    counts = open_counts(connection)
    return {kind: count for kind, count in counts.items() if kind != ReviewKind.CONFLICT}


def _reasons(connection: Connection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        select(audit.c.outcome, audit.c.reason, func.count())
        .where(audit.c.outcome.in_([Outcome.REJECTED.value, Outcome.DEAD_LETTERED.value]))
        .group_by(audit.c.outcome, audit.c.reason)
        .order_by(audit.c.outcome, audit.c.reason)
    )
    for outcome, reason, count in rows:
        found.setdefault(outcome, {})[reason] = count
    return found


def _set_aside(url: str) -> int:
    with psycopg.connect(libpq_url(url)) as connection:
        if connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = %s", ("hub_connector",)).fetchone() is None:
            return 0
        row = connection.execute("SELECT count(*) FROM hub_connector.reject").fetchone()
        return int(row[0]) if row else 0
