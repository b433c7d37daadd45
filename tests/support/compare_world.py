"""A source in a database of its own, its connector, and a warehouse that merges what is published at once."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import create_engine, insert, text
from sqlalchemy.pool import NullPool

from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, run
from connectors.streams.comparing import ComparedStreams
from connectors.streams.context import Context
from connectors.testing import QUICK
from hub.embedded.locate import Endpoints
from hub.intake.prepare import Polled
from hub.model.compared import Record
from hub.operate.actions import By
from hub.operate.compare.caught_up import Tell
from hub.operate.compare.claims import ClaimsOf
from hub.operate.compare.comparison import Comparing
from hub.operate.compare.found import Compared
from hub.operate.compare.opening import Ways, open_comparison
from hub.operate.compare.repair import Repaired, Repairing, RepairPlan, plan_repair
from hub.topology import subject_of
from hub.warehouse.tables.core import dead_letter
from tests.support.whole_world import SECRET, Whole

PROGRESS = "dossier.progressed"
HEAD = """
[source]
code = "tinh"
agency = "G01"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
page_rows = 3
"""
STREAM = (
    HEAD
    + """
[[stream]]
name = "progress"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["id"]
version = "ban"
changed_at = "luc"
deleted = "xoa"
where = {{ loai = "A" }}
late_rows = "{late}"
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED", "4" = "RESULT_READY" }} }}
"""
)
DDL = (
    "CREATE TABLE ho_so (id int PRIMARY KEY, ma text, ban int NOT NULL DEFAULT 1, luc timestamptz DEFAULT now(),"
    " tt text DEFAULT '1', loai text DEFAULT 'A', xoa boolean NOT NULL DEFAULT false)"
)


@dataclass
class Merging:
    """A publisher whose records are merged at once; ``fail_after`` so many calls it loses the rest.

    ``dead_letters``: the reason for which what is published becomes dead letters, as if PostgreSQL refused it.
    """

    whole: Whole
    fail_after: int | None = None
    dead_letters: str | None = None
    sent: list[Record] = field(default_factory=list)

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Merge records as one batch."""
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise ConnectionError("cut off")
            self.fail_after -= 1
        place = subject_of(topic), 0
        first = self.whole.places[place]
        self.whole.places[place] = first + len(records)
        offsets = list(range(first, first + len(records)))
        keys, values = [key for key, _ in records], [value for _, value in records]
        if self.dead_letters is not None:
            self._refuse(self.whole.logs[place], offsets, records)
            return
        self.whole.commit(Polled(self.whole.logs[place], topic, 0, first, offsets, keys, values))
        self.sent += records

    def _refuse(self, log: int, offsets: Sequence[int], records: Sequence[Record]) -> None:
        rows = [
            {
                "log": log,
                "log_offset": offset,
                "reason": self.dead_letters,
                "detail": "",
                "record_key": key,
                "record_value": value,
                "value_bytes": len(value),
                "value_sha256": hashlib.sha256(value).digest(),
            }
            for offset, (key, value) in zip(offsets, records, strict=True)
        ]
        with self.whole.engine.begin() as connection:
            connection.execute(insert(dead_letter), rows)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Settled:
    """Waits for nothing: what is published is merged. ``then`` is called while the comparison waits."""

    is_settled: bool = True
    then: Callable[[], object] = lambda: None

    def wait(self, claims: ClaimsOf, tell: Tell) -> bool:
        """Return whether the hub has caught up, as the test says."""
        self.then()
        return self.is_settled


class ComparedWorld:
    """The source, its connector and the warehouse."""

    def __init__(self, whole: Whole, url: str, declaration: str, subject: str = PROGRESS) -> None:
        self.whole, self.subject = whole, subject
        self._source = create_engine(url, poolclass=NullPool)
        self.context: Context = open_context(parse_declaration(declaration.encode()), SECRET, {"SOURCE_URL": url})
        self.publisher = Merging(whole)
        self.settled = Settled()

    def close(self) -> None:
        """Let go of the source."""
        self.context.engine.dispose()

    def sql(self, *statements: str) -> None:
        """Run statements in the source, each in a transaction of its own."""
        for statement in statements:
            with self._source.begin() as connection:
                connection.execute(text(statement))

    def run(self) -> None:
        """Run the connector until the source has nothing new; all of it is merged."""
        run(connectors_of(self.context), self.publisher, RunOptions(once=True, policy=QUICK))

    def comparing(self, places: bool = False) -> Comparing:
        """Open the comparison as the command does."""
        where = Endpoints("", "", SECRET)
        streams = ComparedStreams(self.context, self.subject)
        return open_comparison(self.whole.engine, where, streams, Ways(self.settled, places=places))

    def compare(self) -> Compared:
        """Compare."""
        return self.comparing().compare()

    def differences(self) -> dict[str, int]:
        """Compare; return how many keys there are of each kind, without the kinds that have none."""
        return {kind.value: count for kind, count in self.compare().counts.items() if count}

    def plan(self, allow_gone: int | None = 100) -> RepairPlan:
        """Compare, and plan the repair."""
        return plan_repair(self.compare(), by_time=False, allow_gone=allow_gone)

    def repair(self, allow_gone: int | None = 100) -> Repaired:
        """Compare and repair."""
        return self.carry_out(self.plan(allow_gone))

    def carry_out(self, plan: RepairPlan) -> Repaired:
        """Do what a plan says."""
        return Repairing(self.comparing(), self.publisher, By("H42-017", "case 12")).repair(plan)

    def claims(self) -> dict[str, tuple[str, int, bool]]:
        """Return what the warehouse holds: status, version, whether it was taken back, by the dossier's code."""
        rows = self.whole.rows("SELECT dossier_code, status, source_version, revoked FROM dossier_progress_claim")
        return {row.dossier_code: (row.status, row.source_version, row.revoked) for row in rows}

    def golden(self) -> set[str]:
        """Return the codes of the dossiers that have a golden record."""
        rows: list[Any] = self.whole.rows(
            "SELECT c.dossier_code FROM dossier_progress_record r"
            " JOIN dossier_progress_claim c ON c.key = r.key AND c.source = r.source"
        )
        return {row.dossier_code for row in rows}
