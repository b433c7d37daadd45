"""A warehouse for tests of the merge: rows made by hand, committed in batches, read back in plain Python."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Engine, text

from hub.codec.catalogue import load_catalogue
from hub.codec.polars_types import dtype_of
from hub.intake.checks.derived import derived_columns
from hub.intake.checks.values import value_checks, without_broken
from hub.model.entities import SUBJECTS
from hub.model.policies.policy import Policy, parse_policy
from hub.reconcile.fence import Stamp
from hub.reconcile.shared.event_order import with_event_order
from hub.reconcile.store import WarehouseStore
from hub.warehouse.batch import Accepted, Advance, Batch
from hub.warehouse.database import open_database
from hub.warehouse.offsets import ensure_positions
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.sources import store_sources
from hub.warehouse.tables.entities import aspect_tables

SUBJECT = "citizen.changed"
TOPIC = "hub.citizen.changed.v1"
PARTITIONS = 3
SECRET = "a secret of tests, no other"  # noqa: S105 - of no deployment
FIRST_DAY = datetime(2025, 6, 1, tzinfo=UTC)

POLICY = parse_policy(
    b"""
    [[source]]
    code = "population"
    agency = "G01"
    role = "population"
    subjects = ["citizen.changed", "residence.changed"]
    [[source]]
    code = "civil"
    agency = "G02"
    role = "civil_status"
    subjects = ["citizen.changed"]
    [[source]]
    code = "province_b"
    agency = "H02"
    role = "province"
    subjects = ["citizen.changed", "residence.changed"]
    [[source]]
    code = "province_a"
    agency = "H01"
    role = "province"
    subjects = ["citizen.changed", "residence.changed"]
    valid_until = 2025-06-02T00:00:00+00:00
    [[source]]
    code = "nso"
    agency = "G05"
    role = "statistics_office"
    subjects = ["admin_unit.changed"]
    [[source]]
    code = "hub.desk"
    agency = "G00"
    role = "officer"
    subjects = ["review.decided"]
    """
)
RANKS = {"population": 0, "civil": 1, "province_a": 2, "province_b": 2}
ENDED = {"province_a": 1}
"""Day from which a source's successor speaks. It is stored after its equal: numbers and codes order differently."""


@dataclass(frozen=True, slots=True)
class Said:
    """One event of a citizen, as short as a test can say it; ``day``, when it occurred, counts from ``FIRST_DAY``."""

    key: int
    source: str
    version: int
    epoch: int = 1
    operation: str = "UPDATE"
    day: int = 0
    full_name: str = "A"
    birth_year: int | None = None

    @property
    def birth_year_kept(self) -> int | None:
        """The birth year as a claim has it: one that breaks its rule is left out."""
        return None if self.is_doubtful else self.birth_year

    @property
    def is_doubtful(self) -> bool:
        """Whether the birth year breaks its rule."""
        return self.birth_year is not None and not 1800 <= self.birth_year <= 2399

    def fields(self) -> dict[str, Any]:
        """Return the event's fields and the columns that checks add."""
        return {
            "event_id": bytes(16),
            "occurred_at": FIRST_DAY + timedelta(days=self.day),
            "recorded_at": FIRST_DAY,
            "source_system": self.source,
            "source_agency": "H00",
            "source_epoch": self.epoch,
            "source_version": self.version,
            "operation": self.operation,
            "unit_scheme": "GSO_2025",
            "pin": f"000299{self.key:06d}",
            "full_name": self.full_name,
            "birth_year": self.birth_year,
        }


def key_of(number: int) -> UUID:
    """Return the key that stands for a number; the merge takes keys as they come."""
    return UUID(int=number << 64 | number)


@dataclass(frozen=True, slots=True)
class World:
    """A migrated warehouse. ``places`` are next offsets by partition of the one topic used."""

    engine: Engine
    store: WarehouseStore
    numbers: dict[str, int]
    logs: dict[int, int]
    places: dict[int, int]

    def commit(self, said: Sequence[Said], partition: int = 0) -> None:
        """Commit events as one batch of one partition."""
        frame = self.frame(SUBJECT, [one.fields() for one in said], [key_of(one.key) for one in said], partition)
        self.commit_frames(partition, Accepted(SUBJECT, frame))

    def commit_frames(self, partition: int, *accepted: Accepted) -> None:
        """Commit frames as one batch; offsets go on from the partition's place."""
        count = sum(item.frame.height for item in accepted)
        accepted = tuple(replace(item, values=item.values or [b""] * item.frame.height) for item in accepted)
        first = self.places[partition]
        advance = Advance(self.logs[partition], TOPIC, partition, first, first + count, count)
        self.store.commit(Batch((advance,), accepted))
        self.places[partition] = first + count

    def frame(
        self, subject: str, rows: Sequence[dict[str, Any]], keys: Sequence[UUID], partition: int, skip: int = 0
    ) -> pl.DataFrame:
        """Return rows as intake hands them to the merge. ``skip``: offsets of the batch that come before them.

        Optional values that break their rule are dropped, as on the way in.
        """
        version = load_catalogue().latest(subject)
        schema = {spec.name: dtype_of(spec) for spec in version.fields}
        first = self.places[partition] + skip
        filled = [{name: row.get(name) for name in schema} for row in rows]
        frame = pl.DataFrame(filled, schema=schema).with_columns(
            pl.Series("key", [key.bytes for key in keys], pl.Binary),
            pl.lit(self.logs[partition], pl.Int16).alias("log"),
            pl.int_range(first, first + len(rows), dtype=pl.Int64, eager=True).alias("log_offset"),
            pl.col("source_system").replace_strict(self.numbers, return_dtype=pl.Int16).alias("source"),
            *derived_columns(version, SUBJECTS[subject][1], SECRET),
        )
        checks = value_checks(version, frozenset(schema), frozenset())
        optional = [check for check in checks if not check.refuses]
        frame = without_broken(frame, optional, version, SUBJECTS[subject][1], ())
        return with_event_order(frame.with_row_index("row"), aspect_tables(subject).identity)

    def outcomes(self) -> list[str]:
        """Return the outcomes in audit order: by log partition and offset; a reason follows after a colon."""
        return [
            row.outcome if row.reason is None else f"{row.outcome}:{row.reason}"
            for row in self.rows("SELECT outcome, reason FROM audit ORDER BY log, log_offset")
        ]

    def rows(self, query: str) -> list[Any]:
        """Run a query and return its rows."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(query)))

    def clear(self) -> None:
        """Empty every table but the sources."""
        with self.engine.begin() as connection:
            connection.execute(text(CLEAR))
            connection.execute(text("UPDATE log_partition SET next_offset = 0, consumed = 0"))
        self.places.update(dict.fromkeys(range(PARTITIONS), 0))


CLEAR = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'hub' AND tablename NOT IN (
            'alembic_version', 'source', 'authority', 'log_partition', 'policy', 'calendar', 'calendar_day'
        ) LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
    END $$
"""


def open_world(url: str, policy: Policy = POLICY) -> World:
    """Migrate a database and return the world on it, with the sources of a policy."""
    engine = open_database(url, "hub", "test")
    migrate(engine, "hub")
    with engine.begin() as connection:
        numbers = store_sources(connection, policy)
        logs = _logs(connection)
    places = dict.fromkeys(range(PARTITIONS), 0)
    return World(engine, WarehouseStore(engine, Stamp("test", policy.digest)), numbers, logs, places)


def _logs(connection: Connection) -> dict[int, int]:
    begins = {(TOPIC, partition): 0 for partition in range(PARTITIONS)}
    positions = ensure_positions(connection, begins)
    return {partition: position.log for (_, partition), position in positions.items()}
