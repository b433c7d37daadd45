"""A version that a source used for two contents is a question for an officer, until the source says more."""

from typing import Any

import pytest

from hub.model.decisions import SUBJECT, ReviewKind, Verdict
from hub.model.errors import ConfigError
from hub.operate.desk.reviews import Given, plan_decision
from hub.operate.records.questions import Question, QuestionFilter, open_counts, open_questions
from hub.warehouse.batch import Accepted
from hub.warehouse.fingerprint import warehouse_state
from tests.support.decided import frame_of, hash_of
from tests.support.merge_world import Said, World

A, B, C = (Said(1, "population", 5, full_name=name) for name in "ABC")
NEXT = Said(1, "population", 6, full_name="D")


def questions(world: World) -> list[Question]:
    with world.engine.connect() as connection:
        return open_questions(connection, QuestionFilter(kind=ReviewKind.VERSION_REUSED))


def detail(world: World) -> dict[str, Any]:
    (one,) = questions(world)
    return dict(one.detail or {})


def test_reused_version_is_asked_about_with_both_contents(world: World) -> None:
    world.commit([A])
    assert questions(world) == []
    world.commit([A, B])
    assert world.outcomes() == ["applied", "duplicate", "rejected:VERSION_REUSED"]
    (one,) = questions(world)
    assert (one.of.aspect, one.of.source) == ("citizen.person", "population")
    assert detail(world) == {
        "epoch": 1,
        "version": 5,
        "content_hash": str(hash_of(world, A)),
        "refused": [str(hash_of(world, B))],
    }
    with world.engine.connect() as connection:
        assert open_counts(connection) == {"VERSION_REUSED": 1}


def test_question_is_closed_by_a_higher_version_and_by_nothing_else(world: World) -> None:
    world.commit([A])
    world.commit([B])
    world.commit([A, Said(1, "population", 4, full_name="older"), Said(2, "population", 9)])
    assert len(questions(world)) == 1
    world.commit([NEXT])
    assert questions(world) == []


def test_nothing_is_asked_when_the_higher_version_came_with_it(world: World) -> None:
    world.commit([A, B, NEXT])
    assert questions(world) == []


def test_state_is_the_same_however_the_events_were_cut_into_batches(world: World) -> None:
    states = []
    for cuts in ([[A, B, C]], [[A], [B], [C]], [[A, B], [C]], [[A], [B, C]]):
        world.clear()
        for batch in cuts:
            world.commit(batch)
        with world.engine.connect() as connection:
            states.append(warehouse_state(connection))
        assert sorted(detail(world)["refused"]) == sorted(str(hash_of(world, said)) for said in (B, C))
    assert all(state == states[0] for state in states)


def test_officer_settles_it_and_another_content_asks_again(world: World) -> None:
    world.commit([A])
    world.commit([B])
    (one,) = questions(world)
    decision = plan_decision(world.engine, Given(one.number, Verdict.KEEP, "CB01", "seen", None)).decision
    world.commit_frames(0, Accepted(SUBJECT, frame_of(world, [decision], 0)))
    assert questions(world) == []
    world.commit([B])
    assert questions(world) == []
    world.commit([C])
    assert len(questions(world)) == 1


def test_nothing_can_be_taken(world: World) -> None:
    world.commit([A, B])
    (one,) = questions(world)
    with pytest.raises(ConfigError, match="has nothing to take"):
        plan_decision(world.engine, Given(one.number, Verdict.TAKE, "CB01", "seen", None))
