"""By which rule a claim holds a record, and where claims contradict it: every rule once, in plain values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from hub.model.entities import CITIZEN
from hub.operate.records.claims import Claim, Identity, Rule, Speaker, Won, decided, disagreements, side_of
from hub.operate.records.decisions import Decided

DAY = datetime(2025, 6, 1, tzinfo=UTC)
PERSON = CITIZEN.aspect("person")
RESIDENCE = CITIZEN.aspect("residence")


def claim(source: str, rank: int | None = 2, day: float = 0, operation: str = "UPDATE", **fields: Any) -> Claim:
    speaker = Speaker(source, "H01", "province", rank)
    when = DAY + timedelta(days=day)
    return Claim(speaker, 1, 1, when, when, operation, "GSO_2025", None, 0, fields)


@pytest.mark.parametrize(
    ("claims", "won"),
    [
        ([claim("a")], Won("a", Rule.ONLY_CLAIM)),
        ([claim("b", 0), claim("a", 1, day=9)], Won("b", Rule.AUTHORITY, "a")),
        ([claim("a"), claim("b", day=1)], Won("b", Rule.LATER, "a")),
        ([claim("b"), claim("a")], Won("a", Rule.SOURCE_ORDER, "b")),
        ([claim("a", 0, operation="REVOKE"), claim("b", 1)], Won("b", Rule.TOOK_BACK, "a")),
        ([claim("b", 0), claim("a", 1, operation="REVOKE")], Won("b", Rule.ONLY_CLAIM)),
        ([claim("a", operation="REVOKE")], Won(None, Rule.NOBODY)),
        ([claim("a", None), claim("b")], Won("b", Rule.ONLY_CLAIM)),
        ([claim("a", None)], Won(None, Rule.NOBODY)),
    ],
)
def test_rule_names_why_the_holder_holds_and_over_whom(claims: list[Claim], won: Won) -> None:
    assert decided(claims) == won
    assert decided(claims[::-1]) == won


def test_sources_codes_are_ordered_by_their_bytes() -> None:
    assert decided([claim("a"), claim("B"), claim("á")]).holder == "B"


def taken(source: str, version: int = 1, seen: int = 0, held: int | None = None) -> Decided:
    return Decided(
        "CONFLICT", "citizen.person", "", "full_name", source, "TAKE", "H42-017", "", DAY, version, None, held, seen
    )


def test_decision_of_an_officer_stands_before_every_other_rule_and_the_last_before_others() -> None:
    claims = [claim("a", 0), claim("b", 1), claim("c", 2)]
    assert decided(claims, [taken("b")]) == Won("b", Rule.DECIDED, "a")
    assert decided(claims, [taken("c", 1), taken("b", 2)]) == Won("b", Rule.DECIDED, "c")


def test_decision_is_void_when_its_claim_was_taken_back_or_says_something_else() -> None:
    claims = [claim("a", 0), claim("b", 1, operation="REVOKE")]
    assert decided(claims, [taken("b")]) == Won("a", Rule.ONLY_CLAIM)
    assert decided([claim("a", 0), claim("b", 1)], [taken("b", seen=9)]).holder == "a"


def test_what_the_officer_saw_and_passed_over_is_no_conflict() -> None:
    held, seen = claim("b", 1, full_name="B"), replace(claim("a", 0, full_name="A"), content_hash=7)
    other = replace(claim("c", 2, full_name="C"), content_hash=8)
    found = disagreements(CITIZEN, PERSON, [held, seen, other], held, [taken("b", held=7)])
    assert [one.source for one in found] == ["c"]


def test_claims_disagree_where_both_values_are_known_and_differ() -> None:
    held = claim("a", 0, full_name="A", birth_year=1990, gender=None, pin="1")
    other = claim("b", 1, full_name="B", birth_year=None, gender="MALE", pin="2")
    found = disagreements(CITIZEN, PERSON, [held, other], held)
    assert [(one.field, one.source, one.held_by) for one in found] == [("full_name", "b", "a")]


def test_what_was_said_before_the_cut_over_is_no_conflict_with_what_happened_since() -> None:
    old = claim("old", 1, full_name="A")
    old = replace(old, speaker=replace(old.speaker, valid_until=DAY + timedelta(days=3)))
    since, before = claim("new", 0, day=3, full_name="B"), claim("new", 0, day=2, full_name="B")
    assert disagreements(CITIZEN, PERSON, [old, since], since) == []
    assert len(disagreements(CITIZEN, PERSON, [old, before], before)) == 1


def test_claim_that_was_taken_back_contradicts_nothing() -> None:
    held, gone = claim("a", 0, full_name="A"), claim("b", 1, operation="REVOKE", full_name="B")
    assert disagreements(CITIZEN, PERSON, [held, gone], held) == []
    assert disagreements(CITIZEN, PERSON, [gone], None) == []


def test_unit_codes_of_two_schemes_are_not_compared() -> None:
    held = claim("a", 0, commune_code="00004", house="1")
    other = replace(claim("b", 1, commune_code="00001", house="2"), unit_scheme="GSO_2004")
    found = disagreements(CITIZEN, RESIDENCE, [held, other], held)
    assert [one.field for one in found] == ["house"]


def test_holders_claim_comes_first_and_others_are_marked_where_they_differ() -> None:
    claims = [
        claim("a", 0, operation="REVOKE", full_name="X"),
        claim("c", 2, full_name="B"),
        claim("b", 1, full_name="A"),
    ]
    side = side_of(Identity(UUID(int=1), PERSON), claims, decided(claims), [])
    assert [one.source for one in side.claims] == ["b", "c", "a"]
    assert [sorted(one.differs) for one in side.claims] == [[], ["full_name"], ["full_name"]]
    assert side.holder is side.claims[0]


def test_values_stay_out_of_the_repr() -> None:
    assert "Nguyễn" not in repr(claim("a", full_name="Nguyễn"))
