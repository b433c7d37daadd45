"""The hot path stays terse: what a batch asks of PostgreSQL does not grow with its rows, and is no more than it was.

Counted on the wire, not timed: commands, round trips, rows that come back. Whoever adds a statement to every batch
finds it here, raises the figure, and says in docs/performance.md what it is for and what it costs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.warehouse.tables.entities import aspect_tables
from tests.support.whole_world import Whole
from tests.support.wire_trace import Traffic, traced

FEW, MANY = 20, 300
WARM = 7
"""Batches until the driver has prepared every statement."""

PROCEDURE = "1.001193"
UNIT = {
    "source_system": "nso",
    "scheme": "GSO_2025",
    "unit_code": "00004",
    "level": "COMMUNE",
    "unit_type": "PHUONG",
    "name": "Ba Đình",
}


@dataclass(frozen=True, slots=True)
class Most:
    """What one batch of a subject may cost: commands besides BEGIN and COMMIT, round trips with them."""

    statements: int
    round_trips: int
    copies: int = 2
    fetched: int = 7


UNCONTESTED = {
    "citizen.changed": Most(7, 11),
    "residence.changed": Most(12, 16),
    "identity.changed": Most(6, 10),
    "health_insurance.linked": Most(8, 12),
    "dossier.submitted": Most(11, 15),
    "dossier.progressed": Most(15, 19),
    "social_payment.changed": Most(12, 16),
    "inspection.changed": Most(4, 8),
}
"""Half of a batch's keys new, half known, nobody else speaks of them: nearly all batches there are."""

CONTESTED = Most(11, 14)


def events(subject: str, count: int, version: int, source: str = "") -> list[dict[str, Any]]:
    """Return events of known keys and as many new ones."""
    names = [f"{number}" for number in range(count // 2)]
    names += [f"{version:03d}{number:04d}" for number in range(count // 2)]
    return [{**fields_of(subject, name), "source_version": version, **_from(source)} for name in names]


def _from(source: str) -> dict[str, Any]:
    return {"source_system": source} if source else {}


def fields_of(subject: str, name: str) -> dict[str, Any]:
    """Return the fields that make an event of a subject pass its checks."""
    pin = f"000299{int(name):06d}"[:12].ljust(12, "0")
    dossier = {"dossier_code": f"G22.99-251122-{int(name):08d}", "procedure_code": PROCEDURE}
    by_subject: dict[str, dict[str, Any]] = {
        "citizen.changed": {"source_system": "dancu", "pin": pin, "full_name": "Nguyễn An", "birth_year": 2099},
        "residence.changed": {
            "source_system": "cutru",
            "pin": pin,
            "kind": "PERMANENT",
            "action": "REGISTER",
            "commune_code": "00004",
        },
        "identity.changed": {"source_system": "cancuoc", "pin": pin},
        "health_insurance.linked": {"source_system": "bhxh", "pin": pin},
        "dossier.submitted": {"source_system": "dvcqg", **dossier},
        "dossier.progressed": {"source_system": "tinh", **dossier},
        "social_payment.changed": {"source_system": "chitra", "payment_id": name},
        "inspection.changed": {"source_system": "thanhtra", "inspection_id": name},
    }
    return by_subject[subject]


def traffic_of(whole: Whole, subject: str, made: Sequence[dict[str, Any]], trace: Path) -> Traffic:
    """Return what committing some events as one batch takes; each of them must be applied or superseded."""
    batch = whole.preparer.prepare([whole.polled(subject, made)])
    assert batch.refused.is_empty()
    with traced(whole.engine, trace) as traffic:
        whole.store.commit(batch)
    return traffic


@pytest.mark.parametrize("subject", UNCONTESTED)
def test_batch_costs_as_many_statements_however_many_rows_it_has(whole: Whole, subject: str, tmp_path: Path) -> None:
    most, trace = UNCONTESTED[subject], tmp_path / "trace"
    whole.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": PROCEDURE, "name": "Khai sinh"})
    whole.send("admin_unit.changed", UNIT)
    whole.send(subject, *events(subject, MANY, 1))
    for version in range(2, 2 + WARM):
        whole.send(subject, *events(subject, FEW, version))
    few = traffic_of(whole, subject, events(subject, FEW, 50), trace)
    many = traffic_of(whole, subject, events(subject, MANY, 51), trace)

    assert many.commands == few.commands
    assert (many.waits, many.fetched) == (few.waits, few.fetched)
    assert many.statements <= most.statements, many.commands
    assert many.waits <= most.round_trips, many.commands
    assert many.commands["COPY"] <= most.copies
    assert many.fetched <= most.fetched
    assert set(whole.outcomes(subject)) == {"applied"}


def test_rows_written_per_event_of_a_batch_without_rivals(whole: Whole) -> None:
    whole.send("citizen.changed", *events("citizen.changed", MANY, 1))
    before = rows_written(whole)
    whole.send("citizen.changed", *events("citizen.changed", MANY, 2))
    aspect, new = aspect_tables("citizen.changed"), MANY // 2
    each = {table.name: MANY for table in (aspect.stage, aspect.claim, aspect.merged)}
    wanted = Counter(each | {"audit": MANY, aspect.record.name: new, "log_partition": 1, "batch": 1})
    assert rows_written(whole) - before == wanted


def rows_written(whole: Whole) -> Counter[str]:
    """Rows inserted, updated and deleted by table, as PostgreSQL counts them; months of one table together."""
    count = text(
        """SELECT regexp_replace(relname, '_[0-9_]+$', ''), sum(n_tup_ins + n_tup_upd + n_tup_del)::int
           FROM pg_stat_user_tables GROUP BY 1 HAVING sum(n_tup_ins + n_tup_upd + n_tup_del) > 0"""
    )
    with whole.engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with whole.engine.connect() as connection:
        return Counter({name: rows for name, rows in connection.execute(count)})


def test_connection_has_the_temporary_tables_of_what_it_merged_and_no_more(whole: Whole) -> None:
    """Each commit empties them all: those of every subject took most of a small batch's commit."""
    whole.engine.dispose()
    whole.send("inspection.changed", *events("inspection.changed", FEW, 1))
    whole.send("identity.changed", *events("identity.changed", FEW, 1))
    mine = text("SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'")
    with whole.engine.connect() as connection:
        found = set(connection.execute(mine).scalars())
    tables = [aspect_tables(subject) for subject in ("inspection.changed", "identity.changed")]
    assert found == {temporary.name for of in tables for temporary in (of.stage, of.merged)}


def test_batch_about_contested_keys_costs_as_many_statements_however_many_they_are(
    whole: Whole, tmp_path: Path
) -> None:
    subject, trace = "citizen.changed", tmp_path / "trace"
    for source in ("dancu", "hotich"):
        whole.send(subject, *events(subject, MANY, 1, source))
    for version in range(2, 2 + WARM):
        whole.send(subject, *events(subject, FEW, version, "hotich"))
    few = traffic_of(whole, subject, events(subject, FEW, 50, "hotich"), trace)
    many = traffic_of(whole, subject, events(subject, MANY, 51, "hotich"), trace)

    assert many.commands == few.commands
    assert (many.waits, many.fetched) == (few.waits, few.fetched)
    assert many.statements <= CONTESTED.statements, many.commands
    assert many.waits <= CONTESTED.round_trips, many.commands
