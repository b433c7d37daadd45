"""A warehouse for tests of every subject: events as bytes, through the same preparing and merging as in a worker.

What stands between a topic and a worker's transaction is left out: Kafka. A log partition's records are handed over
in the order in which they are sent; batches end where the test says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.model.entities import SUBJECTS, key_fields_of
from hub.model.keys import entity_key
from hub.model.policies.policy import parse_policy
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.topology import event_topic
from hub.warehouse.batch import Batch
from hub.warehouse.database import open_database
from hub.warehouse.offsets import ensure_positions
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.sources import store_sources
from tests.support.merge_world import CLEAR

SECRET = "a secret of the tests"  # noqa: S105 - of no system
DAY = datetime(2025, 8, 1, 2, tzinfo=UTC)

_SOURCES = {
    "dancu": ("population", ["citizen.changed", "residence.changed", "identity.changed"]),
    "hotich": ("civil_status", ["citizen.changed"]),
    "cancuoc": ("identity", ["identity.changed"]),
    "cutru": ("residence", ["residence.changed"]),
    "bhxh": ("social_security", ["health_insurance.linked"]),
    "dvcqg": ("portal", ["procedure.changed", "dossier.submitted", "dossier.progressed"]),
    "tinh": (
        "province",
        [
            "citizen.changed",
            "residence.changed",
            "health_insurance.linked",
            "dossier.submitted",
            "dossier.progressed",
        ],
    ),
    "nso": ("statistics_office", ["admin_unit.changed"]),
    "chitra": ("paying_agency", ["social_payment.changed"]),
    "thanhtra": ("inspectorate", ["inspection.changed"]),
    "hub.desk": ("officer", ["review.decided"]),
}
POLICY_TEXT = "\n".join(
    f'[[source]]\ncode = "{code}"\nagency = "G01"\nrole = "{role}"\nsubjects = {subjects}\n'
    for code, (role, subjects) in _SOURCES.items()
)
POLICY = parse_policy(POLICY_TEXT.encode())


@dataclass(frozen=True, slots=True)
class Whole:
    """A migrated warehouse with a decoder; ``places`` are next offsets by (subject, partition)."""

    engine: Engine
    store: WarehouseStore
    preparer: Preparer
    logs: dict[tuple[str, int], int]
    places: dict[tuple[str, int], int]

    def send(self, subject: str, *events: Mapping[str, Any], partition: int = 0) -> None:
        """Commit events of one subject as one batch; fields that are not given have harmless values."""
        self.commit(self.polled(subject, events, partition))

    def polled(self, subject: str, events: Sequence[Mapping[str, Any]], partition: int = 0) -> Polled:
        """Return events as a poll of one log partition, and move its place."""
        encoder = Encoder(subject, SECRET)
        filled = [whole_event(subject, event) for event in events]
        place = subject, partition
        first = self.places[place]
        self.places[place] = first + len(filled)
        return Polled(
            self.logs[place],
            event_topic(subject),
            partition,
            first,
            list(range(first, first + len(filled))),
            [encoder.key(event) for event in filled],
            [encoder.encode(event) for event in filled],
        )

    def commit(self, *polled: Polled) -> None:
        """Commit what was polled as one batch."""
        self.store.commit(self.preparer.prepare(polled))

    def release(self, most: int = 1000) -> int:
        """Release what may go, as a worker's sweep does; return how many records went."""
        total = 0
        while found := self.store.releasable(most, thorough=True):
            batch: Batch = self.preparer.prepare_released(found)
            self.store.commit(batch)
            total += len(found)
        return total

    def clear(self) -> None:
        """Empty every table but sources, policy and calendar; every log begins anew."""
        with self.engine.begin() as connection:
            connection.execute(text(CLEAR))
            connection.execute(text("UPDATE log_partition SET next_offset = 0, consumed = 0"))
        self.places.update(dict.fromkeys(self.places, 0))

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Run a query and return its rows."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def value(self, query: str, **values: Any) -> Any:
        """Run a query and return the one value of its one row."""
        (row,) = self.rows(query, **values)
        return row[0]

    def outcomes(self, subject: str) -> list[str]:
        """Return the outcomes of a subject's records in the order of the log, as audited when they were read."""
        return [
            row.outcome
            for row in self.rows(
                "SELECT outcome FROM audit a JOIN log_partition p ON p.id = a.log WHERE p.topic = :topic "
                "ORDER BY p.partition, log_offset",
                topic=event_topic(subject),
            )
        ]


def key_of(subject: str, *parts: str) -> UUID:
    """Return the key under which the warehouse keeps a thing."""
    entity, _ = key_fields_of(subject)
    return UUID(bytes=entity_key(SECRET, entity, parts))


def whole_event(subject: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with every required field."""
    version = load_catalogue().latest(subject)
    event: dict[str, Any] = {}
    for spec in version.fields:
        if not spec.nullable:
            event[spec.name] = spec.symbols[-1] if spec.symbols else _HARMLESS.get(spec.kind.value, "x")
    event |= {
        "event_id": uuid4(),
        "occurred_at": DAY,
        "recorded_at": max(DAY, given.get("occurred_at") or DAY),
        "source_epoch": 1,
        "source_version": 1,
        "source_agency": "G01",
        "operation": "UPDATE",
        "unit_scheme": "GSO_2025",
    }
    return event | dict(given)


_HARMLESS: dict[str, Any] = {"int": 0, "long": 0, "boolean": False, "date": DAY.date(), "timestamp": DAY, "json": []}


def open_whole(url: str, decoder: GuardedDecoder) -> Whole:
    """Migrate a database and return the world on it."""
    engine = open_database(url, "hub", "test")
    migrate(engine, "hub")
    begins = {(event_topic(subject), partition): 0 for subject in SUBJECTS for partition in range(2)}
    with engine.begin() as connection:
        numbers = store_sources(connection, POLICY)
        stored = ensure_positions(connection, begins)
    places = dict.fromkeys([(subject, partition) for subject in SUBJECTS for partition in range(2)], 0)
    logs = {(subject, partition): stored[event_topic(subject), partition].log for subject, partition in places}
    preparer = Preparer(decoder, SourceRules.of(POLICY, numbers), SECRET)
    return Whole(engine, WarehouseStore(engine, Stamp("test", POLICY.digest)), preparer, logs, places)
