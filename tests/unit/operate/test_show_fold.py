"""Past states of one key: valid time, record time, both; late events, repeats, parts, events taken back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hub.log.places import Place
from hub.model.decisions import SUBJECT, Decision, ReviewId, ReviewKind, Verdict
from hub.model.entities import CITIZEN, REVIEW
from hub.model.outcomes import Outcome
from hub.operate.records.claims import Identity, Rule, Side, Speaker
from hub.operate.records.history import NO_LIMITS, Event, Limits, Standing, decisions_in, fold, with_changes

DAY = datetime(2025, 6, 1, tzinfo=UTC)
KEY = UUID(int=1)
PERSON = Identity(KEY, CITIZEN.aspect("person"))
SPEAKERS = {
    "population": Speaker("population", "G01", "population", 0),
    "province": Speaker("province", "H01", "province", 2),
}


def at(days: float) -> datetime:
    return DAY + timedelta(days=days)


def event(
    number: int,
    name: str,
    version: int = 1,
    source: str = "population",
    happened: float = 0,
    learnt: float | None = None,
    outcome: Outcome = Outcome.APPLIED,
    **more: Any,
) -> Event:
    """One event; ``number`` is its offset and batch; ``learnt`` defaults to a day per number."""
    recorded_at = at(number if learnt is None else learnt)
    values = {"recorded_at": recorded_at, "operation": "UPDATE", "unit_scheme": "GSO_2025", "full_name": name, **more}
    return Event(
        place=Place("hub.citizen.changed.v1", 0, number),
        key=KEY,
        aspect="person",
        outcome=outcome,
        reason=None,
        source=source,
        epoch=1,
        version=version,
        occurred_at=at(happened),
        event_id=None,
        content_hash=None,
        batch=number,
        recorded_at=recorded_at,
        policy_digest="",
        values=values,
    )


def state(events: list[Event], limits: Limits = NO_LIMITS) -> list[Side]:
    forth = fold(CITIZEN, PERSON, events, Standing(SPEAKERS), limits)
    assert forth == fold(CITIZEN, PERSON, events[::-1], Standing(SPEAKERS), limits)
    return forth


def held(events: list[Event], limits: Limits = NO_LIMITS) -> Any:
    (side,) = state(events, limits)
    return side.holder and side.holder.fields["full_name"]


MOVES = [event(1, "A", version=1, happened=0), event(2, "C", version=3, happened=20)]
LATE = event(30, "B", version=2, happened=10, outcome=Outcome.STALE)


def test_without_limits_the_newest_version_holds() -> None:
    assert held([*MOVES, LATE]) == "C"


def test_as_of_a_day_holds_what_had_happened_by_then() -> None:
    assert held(MOVES, Limits(as_of=at(15))) == "A"
    assert held(MOVES, Limits(as_of=at(20))) == "C"
    assert state(MOVES, Limits(as_of=at(-1))) == []


def test_late_event_counts_in_valid_time() -> None:
    assert held([*MOVES, LATE], Limits(as_of=at(15))) == "B"


def test_late_event_does_not_count_before_the_hub_knew_of_it() -> None:
    assert held([*MOVES, LATE], Limits(as_of=at(15), known_at=at(29))) == "A"
    assert held([*MOVES, LATE], Limits(as_of=at(15), known_at=at(30))) == "B"


def test_known_at_a_time_holds_what_the_hub_held_then() -> None:
    assert held(MOVES, Limits(known_at=at(1))) == "A"
    assert state(MOVES, Limits(known_at=at(0.5))) == []


def test_events_that_were_refused_or_wait_say_nothing() -> None:
    for outcome in (Outcome.REJECTED, Outcome.DEAD_LETTERED, Outcome.PARKED, Outcome.DUPLICATE):
        assert held([*MOVES, event(9, "X", version=9, outcome=outcome)]) == "C"


def test_released_event_is_known_since_its_release() -> None:
    released = replace(event(40, "D", version=4), parked_at=at(3))
    assert held([*MOVES, released], Limits(known_at=at(39))) == "C"
    assert held([*MOVES, released], Limits(known_at=at(40))) == "D"


def test_of_a_version_used_twice_the_first_decided_stays() -> None:
    twice = [event(1, "A"), event(3, "X", outcome=Outcome.STALE), event(2, "B", version=2, happened=5)]
    assert held(twice, Limits(as_of=at(1))) == "A"


def test_higher_authority_holds_until_it_takes_its_claim_back() -> None:
    province = event(1, "P", source="province")
    population = event(2, "N")
    back = event(3, "N", version=2, happened=8, operation="REVOKE")
    (side,) = state([province, population, back], Limits(known_at=at(2)))
    assert (side.won.holder, side.won.rule, side.won.over) == ("population", Rule.AUTHORITY, "province")
    assert [one.field for one in side.conflicts] == ["full_name"]
    (side,) = state([province, population, back])
    assert (side.won.holder, side.won.rule, side.won.over) == ("province", Rule.TOOK_BACK, "population")
    assert side.conflicts == ()


def test_event_whose_values_were_not_read_does_not_count() -> None:
    assert held([MOVES[0], replace(MOVES[1], values=None)]) == "A"


def test_source_without_authority_claims_and_never_holds() -> None:
    (side,) = state([event(1, "A", source="stranger")])
    assert (side.won.holder, [claim.source for claim in side.claims]) == (None, ["stranger"])


def test_order_is_the_audit_logs_and_not_the_events_own() -> None:
    by_time = event(1, "A", version=2_000_000, source_version=1)
    later = event(2, "B", version=1_000_000, source_version=2, outcome=Outcome.STALE)
    assert held([by_time, later]) == "A"


def test_changes_are_told_against_the_sources_version_before() -> None:
    events = [event(1, "A", gender="MALE"), event(3, "B", version=3, gender="MALE"), event(2, "A", version=2)]
    changed = {one.place.offset: one.changed for one in with_changes(events, CITIZEN)}
    assert changed == {1: ("full_name", "gender"), 2: (), 3: ("full_name", "gender")}


def decision(number: int, verdict: Verdict, held: int, other: int) -> Event:
    """An officer's decision about the province's name, made on a day."""
    of = ReviewId(ReviewKind.CONFLICT, "citizen.person", KEY, "", "full_name", "province")
    made = Decision(of, verdict, "H42-017", "seen", at(number), seen_held_hash=held, seen_other_hash=other)
    base = event(number, "", version=made.version, source="officers", happened=number)
    return replace(base, key=UUID(int=2), aspect="decision", values=made.event("officers", "H42"))


CONTRADICTING = [
    replace(event(1, "N"), content_hash=10),
    replace(event(1, "P", source="province"), content_hash=20),
]
OFFICERS = {"officers": Speaker("officers", "H42", "officer", 0)}


def judged(events: list[Event], limits: Limits = NO_LIMITS) -> tuple[Any, Rule, list[str]]:
    decisions = decisions_in(REVIEW, [one for one in events if one.aspect == "decision"], OFFICERS, limits)
    (side,) = fold(CITIZEN, PERSON, events, Standing(SPEAKERS, decisions), limits)
    return side.won.holder, side.won.rule, [one.field for one in side.conflicts]


def test_decision_is_an_event_of_its_own_with_both_times() -> None:
    events = [*CONTRADICTING, decision(5, Verdict.TAKE, held=10, other=20)]
    assert judged(events, Limits(known_at=at(4))) == ("population", Rule.AUTHORITY, ["full_name"])
    assert judged(events, Limits(as_of=at(4))) == ("population", Rule.AUTHORITY, ["full_name"])
    assert judged(events) == ("province", Rule.DECIDED, [])


def test_decision_to_keep_ends_the_conflict_and_moves_nothing() -> None:
    events = [*CONTRADICTING, decision(5, Verdict.KEEP, held=10, other=20)]
    assert judged(events) == ("population", Rule.AUTHORITY, [])


def test_later_decision_about_the_same_review_replaces_the_earlier() -> None:
    events = [
        *CONTRADICTING,
        decision(5, Verdict.TAKE, held=10, other=20),
        decision(6, Verdict.WAIT, held=10, other=20),
    ]
    assert judged(events) == ("population", Rule.AUTHORITY, ["full_name"])
    assert judged(events, Limits(known_at=at(5))) == ("province", Rule.DECIDED, [])


def test_decision_counts_while_the_content_is_what_the_officer_saw() -> None:
    events = [*CONTRADICTING, decision(5, Verdict.TAKE, held=10, other=99)]
    assert judged(events) == ("population", Rule.AUTHORITY, ["full_name"])


def test_review_decided_is_the_subject_of_the_aspect_that_is_folded() -> None:
    assert [aspect.subject for aspect in REVIEW.aspects] == [SUBJECT]
