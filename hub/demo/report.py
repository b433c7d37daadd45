"""The account at the end of the demo: each record with its outcome, and whether the portal shows what the hub holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from hub.demo.portal import Shown
from hub.demo.sources.load import libpq_url
from hub.demo.stage import SOURCES, Stage
from hub.demo.watch import log_ends
from hub.model.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One partition of an event topic: what the log holds, what was consumed, and its outcomes."""

    topic: str
    partition: int
    end: int
    consumed: int
    outcomes: Mapping[str, int]

    @property
    def is_balanced(self) -> bool:
        """I5, and nothing of the log left out."""
        return self.consumed == sum(self.outcomes.values()) == self.end


@dataclass(frozen=True, slots=True)
class Outage:
    """Something taken away, and how long until records were consumed again."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo showed.

    Fields:
        conflicts, reviews: open ones.
        reasons: records by outcome and reason, for rejected and dead-lettered ones.
        set_aside: rows that the connectors could not map, kept in their sources.
        busy_s: from the first record consumed to the last, outages included; ``events_per_s`` is over that time.
    """

    ledger: tuple[LedgerLine, ...]
    portal: tuple[Shown, ...]
    conflicts: int
    reviews: int
    dead_letters: int
    reasons: Mapping[str, Mapping[str, int]]
    set_aside: int
    outages: tuple[Outage, ...]
    busy_s: float
    wall_s: float

    @property
    def is_balanced(self) -> bool:
        """Whether every record of every partition has exactly one outcome."""
        return all(line.is_balanced for line in self.ledger)

    @property
    def is_portal_equal(self) -> bool:
        """Whether the portal's topics hold exactly the golden records."""
        return not any(shown.differing for shown in self.portal) and self.records == self.portal_records

    @property
    def records(self) -> int:
        """Golden records of the published entities."""
        return sum(shown.records for shown in self.portal)

    @property
    def portal_records(self) -> int:
        """Records on the portal's topics."""
        return sum(shown.on_portal for shown in self.portal)

    @property
    def consumed(self) -> int:
        """Records consumed in all."""
        return sum(line.consumed for line in self.ledger)

    @property
    def events_per_s(self) -> float:
        """Records consumed per second while there was something to consume."""
        return self.consumed / self.busy_s


def fetch_report(
    stage: Stage, busy_s: float, wall_s: float, outages: Sequence[Outage], portal: tuple[Shown, ...]
) -> Report:
    """Read the account from the warehouse and the log."""
    ends = log_ends(stage.where)
    with psycopg.connect(libpq_url(stage.where.database_url)) as connection:
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(stage.schema)))
        return Report(
            ledger=_ledger(connection, ends),
            portal=portal,
            conflicts=_count(connection, "SELECT count(*) FROM conflict WHERE closed_at IS NULL"),
            reviews=_count(connection, "SELECT count(*) FROM review WHERE closed_at IS NULL"),
            dead_letters=_count(connection, "SELECT count(*) FROM dead_letter"),
            reasons=_reasons(connection),
            set_aside=sum(_set_aside(stage.urls[name]) for name in SOURCES),
            outages=tuple(outages),
            busy_s=busy_s,
            wall_s=wall_s,
        )


def report_object(report: Report) -> dict[str, Any]:
    """Return the report as what ``--json`` prints."""
    return {
        "balanced": report.is_balanced,
        "ledger": [
            {"topic": line.topic, "partition": line.partition, "consumed": line.consumed, **line.outcomes}
            for line in report.ledger
        ],
        "records": report.records,
        "portal_records": report.portal_records,
        "portal_equal": report.is_portal_equal,
        "conflicts": report.conflicts,
        "reviews": report.reviews,
        "dead_letters": report.dead_letters,
        "reasons": report.reasons,
        "set_aside_by_connectors": report.set_aside,
        "outages": [{"what": outage.what, "seconds": round(outage.seconds, 2)} for outage in report.outages],
        "events": report.consumed,
        "busy_s": round(report.busy_s, 2),
        "events_per_s": round(report.events_per_s, 1),
        "wall_s": round(report.wall_s, 2),
    }


def _ledger(
    connection: psycopg.Connection[tuple[Any, ...]], ends: Mapping[tuple[str, int], int]
) -> tuple[LedgerLine, ...]:
    counts: dict[tuple[str, int], dict[str, int]] = {}
    for topic, partition, outcome, count in connection.execute(
        "SELECT topic, partition, outcome::text, count(*) FROM audit JOIN log_partition ON log_partition.id = audit.log"
        " GROUP BY 1, 2, 3"
    ):
        counts.setdefault((topic, partition), {})[outcome] = count
    consumed = {
        (topic, partition): count
        for topic, partition, count in connection.execute("SELECT topic, partition, consumed FROM log_partition")
    }
    return tuple(
        LedgerLine(
            topic,
            partition,
            end,
            consumed.get((topic, partition), 0),
            {outcome.value: counts.get((topic, partition), {}).get(outcome.value, 0) for outcome in Outcome},
        )
        for (topic, partition), end in sorted(ends.items())
    )


def _reasons(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for outcome, reason, count in connection.execute(
        "SELECT outcome::text, reason, count(*) FROM audit"
        " WHERE outcome IN ('rejected', 'dead_lettered') GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        found.setdefault(outcome, {})[reason] = count
    return found


def _count(connection: psycopg.Connection[tuple[Any, ...]], statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    return int(row[0]) if row else 0


def _set_aside(url: str) -> int:
    with psycopg.connect(libpq_url(url)) as connection:
        row = connection.execute("SELECT to_regclass('hub_connector.reject')").fetchone()
        return _count(connection, "SELECT count(*) FROM hub_connector.reject") if row and row[0] else 0
