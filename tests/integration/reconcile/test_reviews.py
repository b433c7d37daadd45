"""Reviews follow claims and units, whichever comes first: a claim of a split unit is a question, others are none."""

import itertools
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from hub.warehouse.batch import Accepted
from tests.support.merge_world import Said, World, key_of

RESIDENCE, UNIT = "residence.changed", "admin_unit.changed"
CODES = {"13285": 1, "13286": 2, "13300": 3}
ON_THE_WAY = 0
"""Version of a unit's first word, which names no successors: a claim of a unit nobody knows would be parked."""
_TIMES = Said(1, "nso", 1).fields()
Step = Callable[[World], None]


def lives(code: str, version: int = 1, person: int = 1, partition: int = 0, **more: Any) -> Step:
    """A residence claim of a person."""
    row = {**_TIMES, "source_system": "population", "source_version": version, "unit_scheme": "GSO_2004"}
    row |= {"pin": f"000299{person:06d}", "kind": "PERMANENT", "action": "REGISTER", "commune_code": code, **more}
    return lambda world: _commit(world, RESIDENCE, row, person, partition)


def unit(code: str, successors: int, version: int = 1, since: int = 2004, partition: int = 1, **more: Any) -> Step:
    """A unit's claim with so many successors."""
    row = _unit_row(code, successors, version, since, **more)
    return lambda world: _commit(world, UNIT, row, CODES[code], partition)


def _unit_row(code: str, successors: int, version: int = 1, since: int = 2004, **more: Any) -> dict[str, Any]:
    row = {**_TIMES, "source_system": "nso", "source_version": version, "unit_scheme": "GSO_2004"}
    row |= {"scheme": "GSO_2004", "unit_code": code, "level": "COMMUNE", "name": code, "valid_from": date(since, 7, 1)}
    names = ",".join(f'{{"code":"{code}{number}"}}' for number in range(successors))
    return row | {"successors": f"[{names}]", **more}


def _commit(world: World, subject: str, row: dict[str, Any], key: int, partition: int) -> None:
    frame = world.frame(subject, [row], [key_of(key)], partition)
    world.commit_frames(partition, Accepted(subject, frame, [b""]))


def open_reviews(world: World) -> list[tuple[Any, ...]]:
    rows = world.rows("SELECT key, part, source, detail FROM review WHERE closed_at IS NULL ORDER BY key, part, source")
    return [(row.key, row.part, row.detail["code"], len(row.detail["candidates"])) for row in rows]


ASKED = [(key_of(1), "PERMANENT", "13285", 2)]


@pytest.fixture
def world(world: World) -> World:
    """Units that are known, and not yet split."""
    _make_known(world)
    return world


def _make_known(world: World) -> None:
    rows = [_unit_row(code, 0, version=ON_THE_WAY) for code in CODES]
    frame = world.frame(UNIT, rows, [key_of(key) for key in CODES.values()], partition=1)
    world.commit_frames(1, Accepted(UNIT, frame, [b""] * len(rows)))


def in_any_order(world: World, *steps: Step) -> list[tuple[Any, ...]]:
    """Take the steps in every order, each in a warehouse of its own; return the open reviews, the same for all."""
    ends = []
    for order in itertools.permutations(steps):
        world.clear()
        _make_known(world)
        for step in order:
            step(world)
        ends.append(open_reviews(world))
    assert all(end == ends[0] for end in ends), ends
    return ends[0]


def test_ambiguous_unit_is_asked_about_whichever_comes_first(world: World) -> None:
    assert in_any_order(world, lives("13285"), unit("13285", 2)) == ASKED


def test_question_names_the_candidates_and_the_claim(world: World) -> None:
    unit("13285", 2)(world)
    lives("13285")(world)
    (row,) = world.rows("SELECT * FROM review")
    assert (row.kind, row.aspect, row.field) == ("AMBIGUOUS_UNIT", "citizen.residence", "commune_code")
    assert row.source == world.numbers["population"]
    assert [one["code"] for one in row.detail["candidates"]] == ["132850", "132851"]
    assert not any(one["is_default"] for one in row.detail["candidates"])


@pytest.mark.parametrize("successors", [0, 1])
def test_nothing_is_asked_about_a_unit_that_went_whole(world: World, successors: int) -> None:
    assert in_any_order(world, lives("13285"), unit("13285", successors)) == []


def test_nothing_is_asked_when_the_claim_speaks_of_the_other_scheme(world: World) -> None:
    assert in_any_order(world, lives("13285", unit_scheme="GSO_2025"), unit("13285", 2)) == []


def test_question_closes_when_the_claim_names_another_unit(world: World) -> None:
    steps = lives("13285"), lives("13300", version=2), unit("13285", 2), unit("13300", 1)
    assert in_any_order(world, *steps) == []


def test_question_closes_when_the_claim_is_taken_back_and_opens_again(world: World) -> None:
    steps = lives("13285"), lives("13285", version=2, operation="REVOKE"), unit("13285", 2)
    assert in_any_order(world, *steps) == []
    lives("13285", version=3)(world)
    assert open_reviews(world) == ASKED


def test_question_closes_when_the_unit_is_no_longer_split(world: World) -> None:
    assert in_any_order(world, lives("13285"), unit("13285", 2), unit("13285", 1, version=2)) == []


def test_question_closes_when_the_unit_is_taken_back(world: World) -> None:
    assert in_any_order(world, lives("13285"), unit("13285", 2), unit("13285", 2, version=2, operation="REVOKE")) == []


def test_last_word_about_a_unit_decides(world: World) -> None:
    assert in_any_order(world, lives("13285"), unit("13285", 2), unit("13285", 1, since=2010)) == []
    assert in_any_order(world, lives("13285"), unit("13285", 3), unit("13285", 2, since=2010)) == ASKED
    taken_back = unit("13285", 1, since=2010, operation="REVOKE")
    assert in_any_order(world, lives("13285"), unit("13285", 2), taken_back) == ASKED


def test_question_stays_when_another_unit_is_mended(world: World) -> None:
    steps = lives("13285"), unit("13285", 2), lives("13286", person=2), unit("13286", 2), unit("13286", 1, version=2)
    for step in steps:
        step(world)
    assert open_reviews(world) == ASKED


def test_each_source_and_part_is_asked_of_its_own(world: World) -> None:
    steps = (
        lives("13285"),
        lives("13285", source_system="province_a"),
        lives("13285", kind="TEMPORARY"),
        unit("13285", 2),
    )
    found = in_any_order(world, *steps)
    assert [part for _, part, _, _ in found] == ["PERMANENT", "PERMANENT", "TEMPORARY"]


@pytest.mark.parametrize("first", ["claim", "unit"])
def test_claim_and_unit_committed_at_once_are_asked_about(world: World, first: str) -> None:
    steps = {"claim": lives("13285"), "unit": unit("13285", 2)}
    other = "unit" if first == "claim" else "claim"
    asked, errors = threading.Event(), []

    def run(step: Step) -> None:
        try:
            step(world)
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    second = threading.Thread(target=run, args=(steps[other],))

    def hold_commit(connection: Any) -> None:
        """The first transaction has done all its work; let the second do what it can before it commits."""
        is_of_batch = bool(connection.info.get("stages"))
        if is_of_batch and threading.current_thread() is not second and not asked.is_set():
            asked.set()
            second.start()
            second.join(timeout=0.5)

    event.listen(world.engine, "commit", hold_commit)
    try:
        run(steps[first])
        second.join()
    finally:
        event.remove(world.engine, "commit", hold_commit)
    assert errors == []
    assert open_reviews(world) == ASKED
