"""Fill a warehouse with millions of people by set-based statements, in the shape that the merge leaves them in.

Rows stand in the heap as they came while keys are hashes, so neighbours by key are no neighbours on disk: as in a
warehouse that grew. Indexes are made after the rows, which takes a third of the time.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from hub.cli.shared.context import policy_path
from hub.config import Settings
from hub.model.policies.policy import load_policy
from hub.warehouse.sources import store_sources
from tests.bench.support.measured import progress

OLD_VERSION = -1
"""Source version of what was there before: every event of a benchmark is newer."""

_CHUNK = 100_000

_CHUNK_OF_PEOPLE = """
    INSERT INTO people (n, key, contested)
    SELECT person, coalesce(known.key, md5('p' || person)::uuid),
           :every > 0 AND (hashint8(person)::bigint & 2147483647) % greatest(CAST(:every AS bigint), 1) = 0
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS person
    LEFT JOIN known_people AS known ON known.n * CAST(:spread AS bigint) = person
    ORDER BY 2
"""
"""In the order of hashes, so that people the events will speak of stand among the others; who is contested is told by a
hash too, since known people stand at equal distances and would else be contested more often, or never."""
_CLAIMS = """
    INSERT INTO citizen_person_claim
        (key, source, source_epoch, source_version, content_hash, revoked, contested, event_id, occurred_at,
         recorded_at, operation, unit_scheme, source_agency, pin, full_name, birth_year, birth_month, gender)
    SELECT key, :source, 1, :version, n * 7919, false, contested, md5('e' || n)::uuid, '2025-03-01', '2025-03-01',
           'SNAPSHOT', 'GSO_2004', 'G01', whole.pin, :name || ' ' || n, whole.birth_year, whole.birth_month,
           whole.gender
    FROM people
    LEFT JOIN LATERAL (
        SELECT '0002' || lpad(n::text, 8, '0') AS pin, 2099 AS birth_year, n % 12 + 1 AS birth_month,
               CASE n % 2 WHEN 0 THEN 'MALE' ELSE 'FEMALE' END AS gender
    ) AS whole ON NOT :only_contested
    WHERE contested OR NOT :only_contested
"""
"""The rival knows nothing but a name, another one: the events find a conflict open and open no others."""
_OTHERS = (
    "INSERT INTO citizen_person_record (key, source) SELECT key, :source FROM people",
    """
    INSERT INTO audit (log, log_offset, batch, outcome, source, source_epoch, source_version, content_hash,
                       occurred_at, key, event_id)
    SELECT :log, n, 1 + n / 50000, 'applied', :source, 1, :version, n * 7919, '2025-03-01', key, md5('e' || n)::uuid
    FROM people
    """,
    """
    INSERT INTO conflict (aspect, key, part, field, source, held_by)
    SELECT 'citizen.person', key, '', 'full_name', :rival, :source FROM people WHERE contested
    """,
)
_TABLES = ("citizen_person_claim", "citizen_person_record", "audit")
_INDEXES = """
    WITH tables AS (
        SELECT named::regclass AS id FROM unnest(CAST(:tables AS text[])) AS named
        UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY (CAST(:tables AS regclass[]))
    )
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS dropping,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid))
               AS making
    FROM pg_constraint AS c JOIN tables ON tables.id = conrelid WHERE contype = 'p'
    UNION ALL
    SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index JOIN tables ON tables.id = indrelid
    WHERE NOT indisunique AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
"""


def preload(engine: Engine, people: int, known: Sequence[UUID] = (), conflicts: int = 0) -> float:
    """Fill in people held by the population database, evenly spread among them those the events will speak of.

    Args:
        engine: of a migrated warehouse.
        people: how many in all.
        known: keys that are among them.
        conflicts: about how many of the people, known ones in proportion, a province contradicts in one field.

    Returns:
        The seconds it took.
    """
    began = time.monotonic()
    spread = people // len(known) if known else people + 1
    with engine.begin() as connection, without_indexes(connection, *_TABLES):
        connection.execute(text("CREATE TEMPORARY TABLE people (n bigint, key uuid, contested boolean) ON COMMIT DROP"))
        _store_known(connection, known)
        store_sources(connection, load_policy(policy_path(Settings())))
        values = {
            "source": _source(connection, "dancu"),
            "rival": _source(connection, "namdinh.motcua"),
            "log": _log(connection),
            "version": OLD_VERSION,
            "spread": spread,
            "every": people // conflicts if conflicts else 0,
        }
        for first in range(1, people + 1, _CHUNK):
            last = min(first + _CHUNK - 1, people)
            _fill(connection, {**values, "first": first, "last": last})
            if last % (10 * _CHUNK) == 0:
                progress.print(f"  {last:,} people, {time.monotonic() - began:.0f} s")
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("VACUUM (ANALYZE) citizen_person_claim, citizen_person_record, audit, conflict"))
        connection.execute(text("CHECKPOINT"))
    progress.print(f"preloaded {people:,} people, {conflicts:,} in conflict, in {time.monotonic() - began:.0f} s")
    return time.monotonic() - began


def _fill(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(text("TRUNCATE people"))
    connection.execute(text(_CHUNK_OF_PEOPLE), values)
    of_source = {**values, "name": "Nguyễn Văn", "only_contested": False}
    connection.execute(text(_CLAIMS), of_source)
    of_rival = {**values, "source": values["rival"], "name": "Trần Văn", "only_contested": True}
    connection.execute(text(_CLAIMS), of_rival)
    for statement in _OTHERS:
        connection.execute(text(statement), values)


def _source(connection: Connection, code: str) -> int:
    return int(connection.execute(text("SELECT id FROM source WHERE code = :code"), {"code": code}).scalar_one())


def _log(connection: Connection) -> int:
    """Return a log partition of the past: the audit rows of what was there before refer to it.

    Its offsets stand still at 0, so that nothing which follows the log (ledger, seals, share) takes them for new.
    """
    making = (
        "INSERT INTO log_partition (topic, partition, first_offset, next_offset) "
        "VALUES ('hub.citizen.changed.v0', 0, 0, 0) RETURNING id"
    )
    return int(connection.execute(text(making)).scalar_one())


def _store_known(connection: Connection, known: Sequence[UUID]) -> None:
    connection.execute(text("CREATE TEMPORARY TABLE known_people (n bigint, key uuid) ON COMMIT DROP"))
    raw = connection.connection.driver_connection
    assert raw is not None
    with raw.cursor().copy("COPY known_people FROM STDIN") as copy:
        for number, key in enumerate(known, start=1):
            copy.write_row((number, key))
    connection.execute(text("ANALYZE known_people"))


@contextmanager
def without_indexes(connection: Connection, *tables: str) -> Iterator[None]:
    """Drop the primary keys and the plain indexes of tables and of their partitions, and make them anew at the end."""
    connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    found = connection.execute(text(_INDEXES), {"tables": list(tables)}).all()
    for row in found:
        connection.execute(text(row.dropping))
    yield
    for row in found:
        connection.execute(text(row.making))
