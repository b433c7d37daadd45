"""Recoding after a boundary change, and residents of a unit of today on a day before it: nothing moves."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from hub.model.errors import ConfigError
from hub.operate.units.recode import Job, RecodePlan, execute_recode, plan_recode
from hub.operate.units.residents import Residents, residents
from tests.support.merge_world import World
from tests.support.unit_world import chooses, lives, today_unit, unit

REFORM, LATER = date(2025, 7, 1), date(2026, 3, 1)
BEFORE, BETWEEN, AFTER = date(2025, 6, 30), date(2025, 9, 1), date(2026, 6, 1)
WHO, WHY = "officer.1", "a boundary change"
TODAY: dict[str, Any] = {"unit_scheme": "GSO_2025"}


@pytest.fixture
def world(world: World) -> World:
    """Three old units: one whole into 00200, one split, one whole into 00300 which later goes into 00400."""
    for step in (
        unit("00100", ["00200"]),
        unit("00101", ["00200*", "00201*"]),
        unit("00102", ["00300"]),
        today_unit("00200", legal_basis_number="NQ 1"),
        today_unit("00201"),
        today_unit("00300", ["00400"], valid_to=LATER),
        today_unit("00400", since=LATER, legal_basis_number="NQ 2"),
    ):
        step(world)
    return world


def plan(world: World, effective: date) -> RecodePlan:
    with world.engine.connect() as connection:
        return plan_recode(connection, effective)


def recode(world: World, effective: date) -> int:
    with world.engine.begin() as connection:
        return execute_recode(connection, Job(effective, WHO, WHY, expected=50_000))


def rows_of(world: World) -> list[tuple[Any, ...]]:
    rows = world.rows("SELECT * FROM recode ORDER BY key, effective")
    return [(row.key.int >> 64, row.from_scheme, row.from_code, row.to_code, row.decree, row.effective) for row in rows]


def state(world: World) -> list[Any]:
    """Claims, records and history of residences, to the bit."""
    tables = ("claim", "record", "history")
    return [world.rows(f"SELECT t::text FROM citizen_residence_{name} t ORDER BY 1") for name in tables]


def touched(world: World) -> set[int]:
    rows = world.rows("SELECT key FROM touched JOIN log_partition l ON l.id = log AND l.topic = '(jobs)'")
    return {row.key.int >> 64 for row in rows}


def test_recode_writes_a_row_for_each_residence_whose_unit_became_another(world: World) -> None:
    for step in (lives("00100"), lives("00101", 2), lives("00102", 3), lives("00200", 4, **TODAY)):
        step(world)
    before = state(world)
    assert plan(world, REFORM) == RecodePlan(REFORM, to_recode=2, done=0, same=1, ambiguous=1, unknown=0, ended=0)
    assert recode(world, REFORM) == 2
    assert rows_of(world) == [
        (1, "GSO_2004", "00100", "00200", "NQ 1", REFORM),
        (3, "GSO_2004", "00102", "00300", None, REFORM),
    ]
    assert state(world) == before
    assert touched(world) == {1, 3}


def test_recode_again_adds_only_what_is_new(world: World) -> None:
    lives("00100")(world)
    assert (recode(world, REFORM), recode(world, REFORM)) == (1, 0)
    assert plan(world, REFORM).done == 1
    lives("00102", 2)(world)
    assert (plan(world, REFORM).to_recode, recode(world, REFORM)) == (1, 1)


def test_second_change_recodes_from_what_the_first_made_of_it(world: World) -> None:
    for step in (lives("00102"), lives("00300", 2, **TODAY), lives("00400", 3, **TODAY)):
        step(world)
    assert (recode(world, REFORM), recode(world, LATER)) == (1, 2)
    assert rows_of(world) == [
        (1, "GSO_2004", "00102", "00300", None, REFORM),
        (1, "GSO_2025", "00300", "00400", "NQ 2", LATER),
        (2, "GSO_2025", "00300", "00400", "NQ 2", LATER),
    ]


def test_residence_that_ended_or_holds_no_record_is_not_recoded(world: World) -> None:
    ended = lives("00100", 2, to_date=date(2025, 6, 1)), lives("00100", 3, action="DELETE")
    for step in (*ended, lives("00100", 4, operation="REVOKE"), lives("00100", 5, source_system="province_b")):
        step(world)
    lives("00201", 5, **TODAY)(world)
    found = plan(world, REFORM)
    assert (found.to_recode, found.ended, found.same) == (0, 2, 1)
    assert recode(world, REFORM) == 0


def test_recode_is_written_down_with_who_and_why(world: World) -> None:
    lives("00100")(world)
    recode(world, REFORM)
    (action,) = world.rows("SELECT * FROM action")
    assert (action.actor, action.action, action.purpose) == (WHO, "units recode", WHY)
    assert action.detail == {"effective": "2025-07-01", "expected": 50_000}
    (job,) = world.rows("SELECT job FROM recode")
    assert job.job == action.id


def test_recode_that_fails_leaves_nothing(world: World) -> None:
    lives("00100")(world)

    def fail(done: int, batch: int) -> None:
        if done == batch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), world.engine.begin() as connection:
        execute_recode(connection, Job(REFORM, WHO, WHY), fail)
    assert (rows_of(world), touched(world), world.rows("SELECT * FROM action")) == ([], set(), [])


# Residents as of a day.


def count(world: World, code: str, on: date, kind: str = "PERMANENT") -> Residents:
    with world.engine.connect() as connection:
        return residents(connection, code, on, kind)


def numbers(world: World, code: str, on: date) -> tuple[int, int]:
    found = count(world, code, on)
    return found.certain, found.ambiguous


def test_residents_before_the_reform_are_counted_over_the_predecessors(world: World) -> None:
    for step in (lives("00100"), lives("00100", 2), lives("00101", 3), lives("00102", 4)):
        step(world)
    found = count(world, "00200", BEFORE)
    assert (found.certain, found.ambiguous) == (2, 1)
    assert [(row.said.code, row.certain, row.ambiguous) for row in found.by_unit] == [("00100", 2, 0), ("00101", 0, 1)]
    assert numbers(world, "00201", BEFORE) == (0, 1)
    assert numbers(world, "00400", BEFORE) == (1, 0)
    with pytest.raises(ConfigError, match="00300 today"):
        count(world, "00300", BEFORE)


def test_officers_choice_makes_a_resident_certain(world: World) -> None:
    for step in (lives("00101"), chooses("00201")):
        step(world)
    assert (numbers(world, "00201", BEFORE), numbers(world, "00200", BEFORE)) == ((1, 0), (0, 0))


def test_recode_is_no_move_in_the_count(world: World) -> None:
    lives("00102")(world)
    counted = [numbers(world, "00400", day) for day in (BEFORE, BETWEEN, AFTER)]
    recode(world, LATER)
    assert [numbers(world, "00400", day) for day in (BEFORE, BETWEEN, AFTER)] == counted == [(1, 0)] * 3


def test_who_moved_is_counted_where_they_lived_on_the_day(world: World) -> None:
    lives("00100", from_date=date(2020, 1, 1))(world)
    lives("00300", version=2, day=BETWEEN, from_date=BETWEEN, **TODAY)(world)
    assert (numbers(world, "00200", BEFORE), numbers(world, "00400", BEFORE)) == ((1, 0), (0, 0))
    assert (numbers(world, "00200", BETWEEN), numbers(world, "00400", BETWEEN)) == ((0, 0), (1, 0))


def test_who_had_not_come_or_had_left_is_not_counted(world: World) -> None:
    lives("00100", from_date=date(2025, 6, 1), to_date=date(2025, 9, 1))(world)
    lives("00100", 2, version=1)(world)
    lives("00100", 2, version=2, action="DELETE", day=BETWEEN)(world)
    days = date(2025, 5, 1), BEFORE, BETWEEN
    assert [numbers(world, "00200", day)[0] for day in days] == [0, 2, 0]


def test_higher_authority_says_where_somebody_lived(world: World) -> None:
    lives("00100")(world)
    lives("00102", source_system="province_b")(world)
    assert (numbers(world, "00200", BEFORE), numbers(world, "00400", BEFORE)) == ((1, 0), (0, 0))
    lives("00100", version=2, operation="REVOKE")(world)
    assert (numbers(world, "00200", AFTER), numbers(world, "00400", AFTER)) == ((0, 0), (1, 0))


def test_two_numbers_of_one_person_are_one_resident(world: World) -> None:
    for step in (lives("00100"), lives("00102", 2, source_system="province_b")):
        step(world)
    with world.engine.begin() as connection:
        keys = "SELECT 'citizen', key, min(key::text) OVER ()::uuid FROM citizen_residence_claim"
        connection.execute(text(f"INSERT INTO same_key (entity, key, canonical) {keys}"))
    assert (numbers(world, "00200", BEFORE), numbers(world, "00400", BEFORE)) == ((1, 0), (0, 0))
