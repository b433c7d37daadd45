"""What waits for an officer, what deciding it would do, and which decisions are refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from hub.model.decisions import SUBJECT, Decision, ReviewKind, Verdict
from hub.model.errors import ConfigError
from hub.operate.desk.reviews import DecisionPlan, Given, plan_decision, show_question
from hub.operate.records.questions import Question, QuestionFilter, open_counts, open_questions, question_of
from hub.operate.records.request import Unmasking
from hub.warehouse.batch import Accepted
from hub.warehouse.fingerprint import TableState, warehouse_state
from tests.support.decided import frame_of, hash_of
from tests.support.merge_world import SUBJECT as CITIZEN
from tests.support.merge_world import Said, World, key_of
from tests.support.unit_world import lives, today_unit, unit

NPD = Said(1, "population", 1, full_name="A")
PROVINCE = Said(1, "province_b", 1, full_name="B")


def questions(world: World, wanted: QuestionFilter | None = None) -> list[Question]:
    with world.engine.connect() as connection:
        return open_questions(connection, wanted or QuestionFilter())


def counts(world: World) -> dict[str, int]:
    with world.engine.connect() as connection:
        return open_counts(connection)


def plan(world: World, number: str, verdict: str, choose: str | None = None) -> DecisionPlan:
    return plan_decision(world.engine, Given(number, Verdict(verdict), "CB01", "seen", choose))


def merge(world: World, decision: Decision) -> None:
    world.commit_frames(0, Accepted(SUBJECT, frame_of(world, [decision], 0)))


def ask(world: World, kind: str, aspect: str, part: str, detail: dict[str, Any]) -> str:
    with world.engine.begin() as connection:
        number = connection.execute(
            text(
                "INSERT INTO review (kind, aspect, key, part, field, source, detail) VALUES "
                "(:kind, :aspect, :key, :part, 'f', 1, cast(:detail AS jsonb)) RETURNING id"
            ),
            {"kind": kind, "aspect": aspect, "key": key_of(1), "part": part, "detail": json.dumps(detail)},
        ).scalar_one()
    return f"R{number}"


def test_conflict_is_listed_with_both_sources_and_filtered(world: World) -> None:
    world.commit([NPD, PROVINCE, Said(2, "population", 1)])
    (one,) = questions(world)
    assert (one.of.kind, one.of.aspect, one.of.field) == (ReviewKind.CONFLICT, "citizen.person", "full_name")
    assert (one.of.source, one.held_by, one.is_open, one.noted) == ("province_b", "population", True, None)
    assert counts(world) == {"CONFLICT": 1}
    assert (
        len(questions(world, QuestionFilter(source="population", aspect="citizen.person", kind=ReviewKind.CONFLICT)))
        == 1
    )
    for none in (
        QuestionFilter(kind=ReviewKind.AMBIGUOUS_UNIT),
        QuestionFilter(source="civil"),
        QuestionFilter(aspect="citizen.residence"),
        QuestionFilter(older_than_h=1),
        QuestionFilter(limit=0),
    ):
        assert questions(world, none) == []


def test_decision_carries_what_the_officer_saw(world: World) -> None:
    world.commit([NPD, PROVINCE])
    (one,) = questions(world)
    decision = plan(world, one.number, "TAKE").decision
    assert (decision.seen_held_hash, decision.seen_other_hash) == (hash_of(world, NPD), hash_of(world, PROVINCE))
    merge(world, decision)
    assert questions(world) == []
    with world.engine.connect() as connection:
        found = question_of(connection, one.number)
    assert not found.is_open
    assert found.noted is not None
    assert (found.noted.verdict, found.noted.officer, found.noted.reason) == ("TAKE", "CB01", "seen")
    merge(world, plan(world, one.number, "WAIT").decision)
    (again,) = questions(world)
    assert again.noted is not None
    assert again.noted.verdict == "WAIT"


def test_same_decision_is_the_same_event(world: World) -> None:
    world.commit([NPD, PROVINCE])
    decision = plan(world, questions(world)[0].number, "KEEP").decision
    assert decision.event("hub.desk", "G00") == decision.event("hub.desk", "G00")
    assert decision.version == int(decision.decided_at.timestamp() * 1_000_000)
    assert len(decision.of.review_key) == 32


def test_question_that_closed_by_itself_cannot_be_decided(world: World) -> None:
    world.commit([NPD, PROVINCE])
    (one,) = questions(world)
    world.commit([Said(1, "province_b", 2, full_name="A")])
    with pytest.raises(ConfigError, match="closed by itself"):
        plan(world, one.number, "KEEP")


@pytest.mark.parametrize("number", ["12", "C", "X1", "C-1", "C٣", "C987654"])
def test_number_of_nothing_is_refused(world: World, number: str) -> None:
    with pytest.raises(ConfigError, match="hub review list"):
        plan(world, number, "KEEP")


def test_unit_is_taken_from_among_the_candidates_only(world: World) -> None:
    candidates = [{"code": "00637"}, {"code": "00622"}]
    number = ask(world, "AMBIGUOUS_UNIT", "citizen.residence", "PERMANENT", {"candidates": candidates})
    for wrong in (None, "00001"):
        with pytest.raises(ConfigError, match="--choose one of 00622, 00637"):
            plan(world, number, "TAKE", wrong)
    with pytest.raises(ConfigError, match="--choose goes with"):
        plan(world, number, "KEEP", "00637")
    assert plan(world, number, "TAKE", "00637").decision.chosen == "00637"


def test_two_persons_are_named_in_the_decision(world: World) -> None:
    kind = "POSSIBLE_DUPLICATE_PERSON"
    pair = ask(world, kind, "citizen.person", str(key_of(2)), {"other_key": str(key_of(2))})
    crowd = ask(world, kind, "citizen.person", "", {"holders": 9})
    decision = plan(world, pair, "TAKE").decision
    assert (decision.other_key, decision.seen_other_hash) == (key_of(2), None)
    with pytest.raises(ConfigError, match="names no other person"):
        plan(world, crowd, "TAKE")


def test_backward_status_is_kept_for_those_versions(world: World) -> None:
    number = ask(world, "BACKWARD_STATUS", "dossier.progress", "", {"versions": [[1, 4], [1, 5]]})
    with pytest.raises(ConfigError, match="has nothing to take"):
        plan(world, number, "TAKE")
    assert counts(world) == {"BACKWARD_STATUS": 1}
    merge(world, plan(world, number, "KEEP").decision)
    assert counts(world) == {}
    with world.engine.begin() as connection:
        connection.execute(text("""UPDATE review SET detail = '{"versions": [[1, 4], [1, 6]]}'"""))
    assert counts(world) == {"BACKWARD_STATUS": 1}


def test_unit_that_an_officer_took_is_the_unit_of_today(world: World) -> None:
    for step in (today_unit("00637"), today_unit("00622"), unit("00634", to=["00637*", "00622*"]), lives("00634")):
        step(world)
    (one,) = questions(world)
    assert one.of.kind is ReviewKind.AMBIGUOUS_UNIT
    merge(world, plan(world, one.number, "TAKE", "00622").decision)
    assert questions(world) == []
    merge(world, plan(world, one.number, "WAIT").decision)
    assert [again.number for again in questions(world)] == [one.number]
    merge(world, plan(world, one.number, "KEEP").decision)
    assert questions(world) == []
    lives("00634", version=2, detail_text="Xóm 3")(world)
    assert [again.number for again in questions(world)] == [one.number]


def test_two_persons_are_one_by_decision_only_and_two_again_by_a_later_one(world: World) -> None:
    rows = [Said(key, "population", 1).fields() | {"cmnd9": "012345678"} for key in (1, 2)]
    world.commit_frames(0, Accepted(CITIZEN, world.frame(CITIZEN, rows, [key_of(1), key_of(2)], 0)))
    before = states(world)
    (one,) = questions(world)
    assert one.of.kind is ReviewKind.POSSIBLE_DUPLICATE_PERSON
    assert show_question(world.engine, one.number, None).answer is not None
    taken = plan(world, one.number, "TAKE")
    assert taken.effect == "both numbers are one person; a later decision to keep undoes it"
    merge(world, taken.decision)
    assert len(world.rows("SELECT * FROM same_key")) == 2
    assert questions(world) == []
    merge(world, plan(world, one.number, "KEEP").decision)
    assert questions(world) == []
    assert {name: state for name, state in states(world).items() if not name.startswith("review")} == {
        name: state for name, state in before.items() if not name.startswith("review")
    }


def states(world: World) -> dict[str, TableState]:
    with world.engine.connect() as connection:
        return warehouse_state(connection)


def test_claims_are_shown_side_by_side_masked_unless_somebody_says_why(world: World) -> None:
    world.commit([NPD, PROVINCE])
    number = questions(world)[0].number
    answer = show_question(world.engine, number, None).answer
    assert answer is not None
    (side,) = answer.shown.sides
    assert [claim.source for claim in side.claims] == ["population", "province_b"]
    assert {claim.fields["full_name"] for claim in side.claims}.isdisjoint({"A", "B"})
    assert world.rows("SELECT * FROM action") == []
    plain = show_question(world.engine, number, Unmasking("CB01", "complaint")).answer
    assert plain is not None
    assert [claim.fields["full_name"] for claim in plain.shown.sides[0].claims] == ["A", "B"]
    assert [tuple(row) for row in world.rows("SELECT actor, action, purpose FROM action")] == [
        ("CB01", "unmask", "complaint")
    ]


def test_age_counts_from_when_it_was_opened(world: World) -> None:
    world.commit([NPD, PROVINCE])
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE conflict SET opened_at = now() - interval '3 hours'"))
    assert len(questions(world, QuestionFilter(older_than_h=2.5))) == 1
    assert questions(world, QuestionFilter(older_than_h=3.5)) == []
    assert questions(world)[0].opened_at < datetime.now(UTC)
