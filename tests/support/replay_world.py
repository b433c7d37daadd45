"""A live warehouse for tests of replays: events in a log of memory, merged as a worker does; replays read that log.

What stands between a topic and a worker's transaction is left out, as in ``tests.support.whole_world``: Kafka.
"""

import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

import hub.demo
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.model.policies.policy import Policy, load_policy
from hub.operate.actions import Action
from hub.operate.replay.filters import Filters
from hub.operate.replay.ground import Ground
from hub.operate.replay.pipeline import Progress
from hub.operate.replay.plan import Planned, plan_replay
from hub.operate.replay.reading.event_log import LogRange
from hub.operate.replay.run import Ran, run_replay
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.topology import merged_topics
from hub.warehouse.database import open_database
from hub.warehouse.fingerprint import TableState, differences, warehouse_state
from hub.warehouse.offsets import ensure_positions
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.sources import store_sources
from tests.support.event_set import EventSet, Outgoing
from tests.support.merge_world import CLEAR

SECRET = "a secret of the tests"  # noqa: S105 - of no system
PARTITIONS = 2
DEMO_POLICY = Path(hub.demo.__file__).parent / "policy.toml"


def by(name: str) -> Action:
    """Return who does it and why."""
    return Action("H42-017", name, "a test")


def unwatched(progress: Progress) -> None:
    """Watch nothing."""


@dataclass(slots=True)
class ReplayWorld:
    """A live warehouse, its log, and the ground of replays."""

    engine: Engine
    url: str
    store: WarehouseStore
    preparer: Preparer
    logs: dict[tuple[str, int], int]
    log: dict[tuple[str, int], list[Outgoing]] = field(default_factory=dict)
    done: dict[tuple[str, int], int] = field(default_factory=dict)
    batch_rows: int = 100
    reads: int = 0

    @property
    def ground(self) -> Ground:
        """Where replays work."""
        return Ground(self.engine, self.url, "hub", SECRET, self.read, self.batch_rows)

    def append(self, records: Sequence[Outgoing]) -> None:
        """Append records to the log, by the hash of their keys."""
        for record in records:
            place = record.topic, zlib.crc32(record.key or b"") % PARTITIONS
            self.log.setdefault(place, []).append(record)

    def work(self, release: bool = True) -> None:
        """Merge what is in the log and not merged yet, as a worker does."""
        for place, records in sorted(self.log.items()):
            first = self.done.get(place, 0)
            while first < len(records):
                end = min(first + self.batch_rows, len(records))
                self.store.commit(self.preparer.prepare([self.polled(place, first, end)]))
                first = self.done[place] = end
        while release and (found := self.store.releasable(1000, thorough=True)):
            self.store.commit(self.preparer.prepare_released(found))

    def polled(self, place: tuple[str, int], first: int, end: int) -> Polled:
        """Return records of a log partition as they are polled."""
        records = self.log[place][first:end]
        offsets = list(range(first, end))
        keys, values = [one.key for one in records], [one.value for one in records]
        return Polled(self.logs[place], *place, first, offsets, keys, values)

    async def read(self, ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
        """Yield the records of some ranges: the reader of ``ground``."""
        for one in ranges:
            first = one.first
            while first < one.end:
                end = min(first + most, one.end)
                self.reads += end - first
                yield [self.polled((one.topic, one.partition), first, end)]
                first = end

    def plan(self, filters: Filters, publish: bool = False) -> Planned:
        """Plan a replay."""
        return plan_replay(self.engine, filters, publish, by("replay.plan"))

    def run(self, number: int) -> Ran:
        """Run a replay."""
        return run_replay(self.ground, number, by("replay.run"), unwatched)

    def state(self, schema: str = "hub") -> dict[str, TableState]:
        """Return the fingerprint of the live warehouse or of a shadow."""
        engine = self.engine if schema == "hub" else open_database(self.url, schema, "test")
        try:
            with engine.connect() as connection:
                return warehouse_state(connection)
        finally:
            if engine is not self.engine:
                engine.dispose()

    def differences(self, schema: str) -> list[str]:
        """Name the rows that the live warehouse and a shadow do not share."""
        shadow = open_database(self.url, schema, "test")
        try:
            with self.engine.connect() as one, shadow.connect() as other:
                return differences(one, other)
        finally:
            shadow.dispose()

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Run a query and return its rows."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def value(self, query: str, **values: Any) -> Any:
        """Run a query and return the one value of its one row."""
        (row,) = self.rows(query, **values)
        return row[0]

    def execute(self, statement: str) -> None:
        """Run a statement in a transaction."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def fill(self, people: int = 30) -> EventSet:
        """Empty the warehouse and the log, and begin anew with a busy day; return what makes more events."""
        with self.engine.begin() as connection:
            connection.execute(text(CLEAR))
            connection.execute(text("UPDATE log_partition SET next_offset = 0, consumed = 0"))
            for schema in connection.execute(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replay_%'")):
                connection.execute(text(f"DROP SCHEMA {schema[0]} CASCADE"))
        self.log.clear()
        self.done.clear()
        events = EventSet(SECRET)
        self.append(events.mixed(people))
        self.work()
        return events


def open_replay_world(url: str, decoder: GuardedDecoder) -> ReplayWorld:
    """Migrate a database and return the world on it, under the demo's policy."""
    policy: Policy = load_policy(DEMO_POLICY)
    engine = open_database(url, "hub", "test")
    migrate(engine, "hub")
    places = {(topic, partition): 0 for topic in merged_topics() for partition in range(PARTITIONS)}
    with engine.begin() as connection:
        numbers = store_sources(connection, policy)
        stored = ensure_positions(connection, places)
    store = WarehouseStore(engine, Stamp("test", policy.digest))
    preparer = Preparer(decoder, SourceRules.of(policy, numbers), SECRET)
    return ReplayWorld(engine, url, store, preparer, {place: position.log for place, position in stored.items()})
