"""Where the end-to-end tests play: servers that may be stopped, one log of events, a warehouse for each test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Engine as Database
from sqlalchemy import text

from hub.embedded.engine import Engine
from hub.operate.ledger.balance import LedgerRow, read_ledger
from hub.reconcile.parking.releasing import releasable
from hub.topology import merged_topics
from hub.warehouse.database import open_database
from hub.warehouse.fingerprint import TableState, differences, warehouse_state
from tests.e2e.hub_process import WorkerProcess, wait_until
from tests.support.event_set import Outgoing

PEOPLE = 300
PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class Grounds:
    """The servers, and the records that the log was begun with."""

    engine: Engine
    bootstrap: str
    secret: str
    records: Sequence[Outgoing]

    def log_length(self) -> int:
        """Count the records in the log's event topics now."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False)
        try:
            places = [TopicPartition(topic, number) for topic in merged_topics() for number in range(PARTITIONS)]
            ends, begins = consumer.end_offsets(places), consumer.beginning_offsets(places)
        finally:
            consumer.close()
        return sum(ends[place] - begins[place] for place in places)


class Field:
    """One warehouse on the grounds, and the workers that fill it from the log's beginning."""

    def __init__(self, grounds: Grounds, name: str, folder: Path) -> None:
        self.grounds = grounds
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._name = name
        self.database_url = grounds.engine.create_database(name)
        self.database: Database = open_database(self.database_url, "hub", "test")
        self.workers: list[WorkerProcess] = []
        self.pages: dict[str, tuple[int, Any]] = {}

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what leads a command to this field."""
        return {
            "HUB_KAFKA_BOOTSTRAP": self.grounds.bootstrap,
            "HUB_DATABASE_URL": self.database_url,
            "HUB_KEY_SECRET": self.grounds.secret,
            "HUB_DATA_DIR": str(self.folder / "hub"),
            "HUB_BATCH_ROWS": "150",
            "HUB_SCHEMA_WAIT_S": "0.2",
            "HUB_SESSION_TIMEOUT_S": "2",
            "HUB_GONE_AFTER_S": "3600",  # on a busy machine much time passes between a worker's end and a look
            **(more or {}),
        }

    def worker(self, *command: str, **more: str) -> WorkerProcess:
        """Start a worker, or ``command`` in its place; ``more`` are settings."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = WorkerProcess(self.environment(more), log, *([command] if command else []))
        self.workers.append(worker)
        return worker

    def consumed(self) -> int:
        """Return how many records are durable; 0 before there are tables."""
        if not self.value("SELECT to_regclass('log_partition') IS NOT NULL"):
            return 0
        return int(self.value("SELECT coalesce(sum(consumed), 0) FROM log_partition"))

    def wait_for(self, records: int) -> None:
        """Wait until so many records are durable."""
        wait_until(
            lambda: self.consumed() >= records,
            lambda: f"{self.consumed()} of {records}\n" + "\n".join(w.output()[-3000:] for w in self.workers),
        )

    def wait_for_all(self) -> None:
        """Wait until the whole log is durable, and nothing waits for what has come."""
        self.wait_for(self.grounds.log_length())
        wait_until(lambda: not self._releasable(), lambda: "records that may go are parked still")

    def _releasable(self) -> bool:
        with self.database.connect() as connection:
            return bool(releasable(connection, 1, thorough=True))

    def value(self, query: str) -> Any:
        """Return the one value of a query."""
        with self.database.connect() as connection:
            return connection.execute(text(query)).scalar_one()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows."""
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

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

    def dead_letters(self) -> list[tuple[Any, ...]]:
        """Return place and reason of every dead letter."""
        return self.rows(
            "SELECT topic, partition, log_offset, reason FROM dead_letter "
            "JOIN log_partition ON id = log ORDER BY 1, 2, 3"
        )

    def differences(self, other: "Field") -> list[str]:
        """Name the rows that the two warehouses do not share."""
        with self.database.connect() as one, other.database.connect() as two:
            return differences(one, two)

    def problems(self) -> list[str]:
        """Return what contradicts I1, I2 or I5 in what is durable now; empty when nothing does."""
        return [name for name, query in _CONTRADICTIONS.items() if self.value(query)]

    def close(self) -> None:
        """Stop the workers and let go of the database."""
        for worker in self.workers:
            worker.stop()
        self.database.dispose()


_CONTRADICTIONS = {
    "I1: an offset moved without its outcome, or an outcome is there before its offset": """
        SELECT count(*) FROM log_partition p WHERE topic LIKE 'hub.%' AND (next_offset - first_offset
        != (SELECT count(*) FROM audit WHERE log = p.id AND log_offset BETWEEN first_offset AND next_offset - 1)
        OR EXISTS (SELECT FROM audit WHERE log = p.id AND log_offset >= next_offset))""",
    "I2: a claim without the outcome that explains it": """
        SELECT count(*) FROM citizen_person_claim c WHERE NOT EXISTS (SELECT FROM audit a
        WHERE (a.key, a.source, a.source_epoch, a.source_version, a.content_hash)
        = (c.key, c.source, c.source_epoch, c.source_version, c.content_hash)
        AND a.outcome IN ('applied', 'superseded'))""",
    "I2: an applied event without its claim": """
        SELECT count(*) FROM audit a JOIN log_partition p ON p.id = a.log WHERE topic = 'hub.citizen.changed.v1'
        AND outcome IN ('applied', 'superseded') AND NOT EXISTS (SELECT FROM citizen_person_claim c
        WHERE (c.key, c.source) = (a.key, a.source) AND c.source_version >= a.source_version)""",
    "I2: a claim without a record": """
        SELECT count(*) FROM citizen_person_claim c
        WHERE NOT EXISTS (SELECT FROM citizen_person_record r WHERE r.key = c.key)""",
    "I2: a dead letter without its outcome, or the other way round": """
        SELECT count(*) FROM dead_letter FULL JOIN (SELECT * FROM audit WHERE outcome = 'dead_lettered') a
        USING (log, log_offset) WHERE a.log IS NULL OR value_bytes IS NULL""",
    "I2: a batch without outcomes, or the other way round": """
        SELECT count(*) FROM batch b
        FULL JOIN (SELECT a.batch AS id FROM audit a UNION SELECT r.batch FROM release r) told ON told.id = b.id
        WHERE b.id IS NULL OR told.id IS NULL""",
    "I2: a released record that still waits, or one that never did": """
        SELECT count(*) FROM release r LEFT JOIN audit a USING (log, log_offset)
        LEFT JOIN parked p USING (log, log_offset)
        WHERE a.outcome IS DISTINCT FROM 'parked' OR p.log IS NOT NULL""",
    "I5: a partition whose outcomes do not add up": """
        SELECT count(*) FROM log_partition p WHERE consumed != (SELECT count(*) FROM audit WHERE log = p.id)""",
}
