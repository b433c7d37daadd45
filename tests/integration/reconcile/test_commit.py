"""One batch, one transaction: the fence, nothing by halves, rows that PostgreSQL refuses, the ledger."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from hub.model.errors import ConcurrentUpdateError, PoisonError
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import read_ledger, totals_by_topic
from hub.warehouse.batch import Accepted, Advance, Batch
from tests.support.merge_world import SUBJECT, TOPIC, Said, World, key_of

_TABLES = ("citizen_person_claim", "citizen_person_record", "audit", "batch", "conflict", "dead_letter", "review")


def _counts(world: World) -> dict[str, int]:
    return {name: world.rows(f"SELECT count(*) FROM {name}")[0][0] for name in _TABLES}


def _offset(world: World, partition: int = 0) -> tuple[int, int]:
    query = f"SELECT next_offset, consumed FROM log_partition WHERE id = {world.logs[partition]}"
    return tuple(world.rows(query)[0])


def _batch(world: World, said: Sequence[Said], expected: int = 0, **changed: Sequence[Any]) -> Batch:
    """A batch of partition 0; ``changed`` replaces whole columns. Values are the row numbers as text."""
    frame = world.frame(SUBJECT, [one.fields() for one in said], [key_of(one.key) for one in said], 0)
    frame = frame.with_columns(pl.Series(name, column, frame.schema[name]) for name, column in changed.items())
    values = [f"value {row}".encode() for row in range(len(said))]
    advance = Advance(world.logs[0], TOPIC, 0, expected, expected + len(said), len(said))
    return Batch((advance,), (Accepted(SUBJECT, frame, values),))


def _people(count: int) -> list[Said]:
    return [Said(number, "population", 1) for number in range(1, count + 1)]


def test_i1_offset_stays_when_audit_fails(world: World) -> None:
    with world.engine.begin() as connection:
        taken = f"INSERT INTO audit (log, log_offset, batch, outcome) VALUES ({world.logs[0]}, 2, 0, 'applied')"
        connection.execute(text(taken))
    before = _counts(world)
    with pytest.raises(PoisonError, match="SQLSTATE 23505"):
        world.store.commit(_batch(world, _people(4)))
    assert _offset(world) == (0, 0)
    assert _counts(world) == before


@pytest.mark.parametrize("table", ["citizen_person_record", "conflict", "batch", "audit"])
def test_i2_nothing_of_a_batch_is_stored_when_one_statement_fails(world: World, table: str) -> None:
    world.commit([Said(1, "population", 1, full_name="A")])
    before = _counts(world), _offset(world)
    with world.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    try:
        with pytest.raises(ProgrammingError):
            world.commit([Said(1, "province_a", 1, full_name="B"), Said(2, "population", 1)])
    finally:
        with world.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE away RENAME TO {table}"))
    assert (_counts(world), _offset(world)) == before
    world.commit([Said(1, "province_a", 1, full_name="B"), Said(2, "population", 1)])
    assert world.outcomes() == ["applied", "superseded", "applied"]


def test_i1_batch_is_refused_when_another_worker_moved_the_partition(world: World) -> None:
    world.commit(_people(2))
    before = _counts(world)
    with pytest.raises(ConcurrentUpdateError):
        world.store.commit(_batch(world, _people(3), expected=1))
    assert _counts(world) == before
    assert _offset(world) == (2, 2)


def test_i1_batch_committed_before_is_refused_when_tried_again(world: World) -> None:
    batch = _batch(world, _people(2))
    world.store.commit(batch)
    with pytest.raises(ConcurrentUpdateError):
        world.store.commit(batch)
    assert world.outcomes() == ["applied", "applied"]


def test_gap_of_a_transaction_marker_is_no_record(world: World) -> None:
    batch = _batch(world, _people(2))
    world.store.commit(replace(batch, advances=(replace(batch.advances[0], next_offset=7),)))
    assert _offset(world) == (7, 2)
    assert all(row.balanced for row in _ledger(world))


def _letters(world: World) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in world.rows("SELECT log_offset, reason, record_value FROM dead_letter ORDER BY 1")]


def test_rows_with_nul_are_dead_letters_and_neighbours_are_applied(world: World) -> None:
    names = ["A", "B\x00", "C", "D\x00", "back\\u0000slash"]
    world.store.commit(_batch(world, _people(5), full_name=names))
    dead = "dead_lettered:INVALID_VALUE"
    assert world.outcomes() == ["applied", dead, "applied", dead, "applied"]
    assert _letters(world) == [(1, "INVALID_VALUE", b"value 1"), (3, "INVALID_VALUE", b"value 3")]
    assert _offset(world) == (5, 5)


def test_nul_in_a_field_that_is_not_stored_is_no_reason_to_refuse(world: World) -> None:
    batch = _batch(world, _people(3), full_name=["A\x00", "B", "C"], actor=[None, "x\x00", None])
    world.store.commit(batch)
    assert world.outcomes() == ["dead_lettered:INVALID_VALUE", "applied", "applied"]


@pytest.mark.parametrize("refused", [[0], [6], [2, 5], [0, 1, 2, 3, 4, 5, 6]])
def test_rows_that_no_check_knows_of_are_found_and_neighbours_are_applied(world: World, refused: list[int]) -> None:
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE citizen_person_claim ADD CONSTRAINT odd CHECK (full_name <> 'odd')"))
    try:
        names = ["odd" if row in refused else "fine" for row in range(7)]
        world.store.commit(_batch(world, _people(7), full_name=names))
    finally:
        with world.engine.begin() as connection:
            connection.execute(text("ALTER TABLE citizen_person_claim DROP CONSTRAINT odd"))
    dead = "dead_lettered:INVALID_VALUE"
    assert world.outcomes() == [dead if row in refused else "applied" for row in range(7)]
    assert [offset for offset, _, _ in _letters(world)] == refused
    assert _offset(world) == (7, 7)


def test_next_newest_takes_the_turn_of_a_refused_row(world: World) -> None:
    said = [Said(1, "population", 1, full_name="A"), Said(1, "population", 2)]
    world.store.commit(_batch(world, said, full_name=["A", "B\x00"]))
    assert world.outcomes() == ["applied", "dead_lettered:INVALID_VALUE"]
    assert world.rows("SELECT full_name FROM citizen_person_claim") == [("A",)]


def test_json_with_an_escaped_nul_is_refused_and_an_escaped_backslash_is_not(world: World) -> None:
    unit = {
        "event_id": bytes(16),
        "source_system": "nso",
        "source_agency": "G05",
        "source_epoch": 1,
        "source_version": 1,
        "operation": "UPDATE",
        "unit_scheme": "GSO_2004",
        "scheme": "GSO_2004",
        "name": "x",
        "level": "COMMUNE",
    }
    times = Said(1, "nso", 1).fields()
    unit |= {name: times[name] for name in ("occurred_at", "recorded_at")} | {"valid_from": times["occurred_at"].date()}
    successors = [r'[{"code":"1"}]', r'[{"code":"\u0000"}]', r'[{"code":"\\u0000"}]']
    rows = [unit | {"unit_code": f"{row}", "successors": value} for row, value in enumerate(successors)]
    frame = world.frame("admin_unit.changed", rows, [key_of(row + 1) for row in range(3)], 0)
    world.commit_frames(0, Accepted("admin_unit.changed", frame, [b"0", b"1", b"2"]))
    assert world.outcomes() == ["applied", "dead_lettered:INVALID_VALUE", "applied"]


def _ledger(world: World) -> list[Any]:
    with world.engine.connect() as connection:
        return read_ledger(connection)


def test_i5_ledger_balances_and_counts_every_outcome(world: World) -> None:
    world.commit([Said(1, "population", 2), Said(1, "population", 2), Said(1, "population", 1)])
    world.commit([Said(1, "province_a", 1)], partition=1)
    rows = {row.partition: row for row in _ledger(world)}
    assert {outcome: count for outcome, count in rows[0].outcomes.items() if count} == {
        Outcome.APPLIED: 1,
        Outcome.DUPLICATE: 1,
        Outcome.STALE: 1,
    }
    assert rows[1].outcomes[Outcome.SUPERSEDED] == 1
    assert [rows[number].consumed for number in (0, 1, 2)] == [3, 1, 0]
    assert all(row.balanced for row in rows.values())
    (total,) = totals_by_topic(list(rows.values()))
    assert (total.consumed, total.balanced) == (4, True)


def test_i5_ledger_is_unbalanced_when_an_audit_row_is_lost(world: World) -> None:
    world.commit(_people(3))
    world.commit(_people(2), partition=1)
    with world.engine.begin() as connection:
        connection.execute(text(f"DELETE FROM audit WHERE log = {world.logs[0]} AND log_offset = 1"))
    assert [row.balanced for row in _ledger(world)] == [False, True, True]
    assert [row.balanced for row in totals_by_topic(_ledger(world))] == [False]
