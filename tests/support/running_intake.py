"""The intake in the test's own process, on a real log and a real warehouse, from where the log ends now."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Engine as Database
from sqlalchemy import text

from hub.cli.shared.context import policy_path
from hub.config import Settings
from hub.intake.broker.log import IntakeOptions
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.faults.storms import Storms
from hub.intake.intake import Intake
from hub.intake.prepare import Preparer
from hub.intake.status import IntakeStatus
from hub.intake.warehouse_port import Store
from hub.model.policies.policy import load_policy
from hub.operate.ledger.balance import LedgerRow, read_ledger
from hub.operate.log.topics import create_topics, plan_topics
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.share.share import Share
from hub.topology import all_subjects, dead_letter_topic, event_topic, merged_topics, topics
from hub.warehouse.bugs import BugStore
from hub.warehouse.chores import ChoreStore
from hub.warehouse.database import open_database
from hub.warehouse.fingerprint import TableState, warehouse_state
from hub.warehouse.offsets import ensure_positions
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.sources import store_sources
from hub.warehouse.stops import StopStore
from tests.support.patience import HANG_S

LIMIT_S = HANG_S
PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class Copy:
    """A dead letter's copy on its topic."""

    topic: str
    reason: str
    origin: str
    key: bytes | None
    value: bytes | None


class Ground:
    """A warehouse that follows the log from its present end."""

    def __init__(self, settings: Settings, group: str) -> None:
        assert settings.kafka_bootstrap
        assert settings.database_url
        assert settings.key_secret
        self.bootstrap, self.secret = settings.kafka_bootstrap, settings.key_secret
        self._group = group
        self._policy = load_policy(policy_path(settings))
        self.limits = self._policy.breaker
        create_topics(self.bootstrap, plan_topics(self.bootstrap, topics(PARTITIONS)).missing, 1)
        self.database: Database = open_database(settings.database_url, "hub", "test")
        migrate(self.database, "hub")
        self.working = self.database
        self.status = IntakeStatus()
        self._dead_ends = self._ends(tuple(dead_letter_topic(event_topic(subject)) for subject in all_subjects()))
        with self.database.begin() as connection:
            self._numbers = store_sources(connection, self._policy)
            ensure_positions(connection, self._ends(merged_topics()))

    def consume(self, until: Callable[[], bool] = lambda: True, drain: bool = True) -> IntakeStatus:
        """Consume what the log holds by now (``drain``), and until it is so; return the intake's status as it runs."""
        return asyncio.run(self._consume(lambda: (not drain or self.is_drained()) and until()))

    async def _consume(self, until: Callable[[], bool]) -> IntakeStatus:
        options = IntakeOptions(self.bootstrap, self._group, merged_topics(), 10_000, 100, 0.2, 2.0)
        store = WarehouseStore(self.working, Stamp("test", self._policy.digest), most_refused=self.limits.run)
        storms = Storms(StopStore(self.working, self.limits, "test"))
        with GuardedDecoder(20.0, 2048) as decoder:
            notes = BugStore(self.working, "test")
            preparer = Preparer(decoder, SourceRules.of(self._policy, self._numbers), self.secret)
            intake = Intake(options, preparer, _store_of(store, notes, ChoreStore(self.working, "test")), storms)
            self.status = intake.status
            running = asyncio.create_task(intake.run())
            try:
                async with asyncio.timeout(LIMIT_S):
                    while not (running.done() or (intake.status.partitions and await asyncio.to_thread(until))):
                        await asyncio.sleep(0.1)
                if running.done():
                    running.result()
                return intake.status
            finally:
                running.cancel()
                await asyncio.wait([running])

    def share(self) -> list[Copy]:
        """Share what is there; return the dead letters' copies that are on their topics since this warehouse began."""
        sharing = Share(self.database, self.bootstrap, self.secret).run(once=True)
        asyncio.run(asyncio.wait_for(sharing, LIMIT_S))
        return self._copies()

    def rows(self, query: str) -> list[Any]:
        """Return a query's rows."""
        with self.database.connect() as connection:
            return list(connection.execute(text(query)))

    def execute(self, statement: str) -> None:
        """Run a statement in a transaction."""
        with self.database.begin() as connection:
            connection.execute(text(statement))

    def ledger(self) -> list[LedgerRow]:
        """Return the ledger."""
        with self.database.connect() as connection:
            return read_ledger(connection)

    def state(self) -> dict[str, TableState]:
        """Return the fingerprint of the warehouse."""
        with self.database.connect() as connection:
            return warehouse_state(connection)

    def is_drained(self) -> bool:
        """Tell whether everything in the log is durable."""
        stored = {(row.topic, row.partition): row.next_offset for row in self.ledger()}
        return all(stored[place] >= end for place, end in self._ends(merged_topics()).items())

    def _ends(self, names: tuple[str, ...]) -> dict[tuple[str, int], int]:
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False)
        try:
            places = [TopicPartition(name, number) for name in names for number in consumer.partitions_for_topic(name)]
            return {(place.topic, place.partition): end for place, end in consumer.end_offsets(places).items()}
        finally:
            consumer.close()

    def _copies(self) -> list[Copy]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            consumer_timeout_ms=3_000,
        )
        try:
            places = {TopicPartition(*place): offset for place, offset in self._dead_ends.items()}
            consumer.assign(list(places))
            for place, offset in places.items():
                consumer.seek(place, offset)
            return [_copy(record) for record in consumer]
        finally:
            consumer.close()


def _store_of(store: WarehouseStore, notes: BugStore, chores: ChoreStore) -> Store:
    return Store(store.place, store.commit, store.releasable, store.attempt, notes, chores)


def _copy(record: Any) -> Copy:
    headers = dict(record.headers)
    return Copy(record.topic, headers["hub.reason"].decode(), headers["hub.origin"].decode(), record.key, record.value)
