"""Doubts about who is who: one worked case per rule; partial birth dates; numbers that are one person."""

from datetime import timedelta
from typing import Any

import pytest

from hub.model.decisions import Decision, ReviewId, ReviewKind, Verdict
from tests.support.whole_world import DAY, Whole, key_of

ONE, OTHER = sorted(["001299000001", "001299000002"], key=lambda pin: key_of("citizen.changed", pin))
"""Two PINs, the one with the smaller key first."""
PERSON = {"full_name": "Trần Hòa", "source_system": "dancu", "birth_year": 2099, "gender": "MALE"}
CARD = {"link_state": "MATCHED", "source_system": "bhxh"}
DOSSIER = {
    "dossier_code": "H42.1-250701-0001",
    "procedure_code": "1.001193",
    "applicant_pin": ONE,
    "applicant_name": "Lê Minh",
    "source_system": "dvcqg",
}


def person(pin: str, version: int = 1, **fields: Any) -> dict[str, Any]:
    return PERSON | {"pin": pin, "source_version": version} | fields


def asked(whole: Whole) -> list[tuple[str, str, str, Any]]:
    """Open reviews: kind, aspect, field, detail."""
    rows = whole.rows(
        "SELECT kind, aspect, field, detail FROM review WHERE closed_at IS NULL ORDER BY kind, field, key"
    )
    return [tuple(row) for row in rows]


def key(pin: str) -> str:
    return str(key_of("citizen.changed", pin))


DUPLICATE = ("POSSIBLE_DUPLICATE_PERSON", "citizen.person", "cmnd9", {"other_key": key(OTHER)})


@pytest.mark.parametrize("first", [ONE, OTHER])
def test_two_people_with_one_cmnd_are_asked_about_on_the_smaller_key(whole: Whole, first: str) -> None:
    second = OTHER if first == ONE else ONE
    whole.send("citizen.changed", person(first, cmnd9="013000001"))
    assert asked(whole) == []
    whole.send("citizen.changed", person(second, cmnd9="013000001", full_name="Lê Minh"))
    assert asked(whole) == [DUPLICATE]
    assert str(whole.value("SELECT key FROM review")) == key(ONE)
    whole.send("citizen.changed", person(first, 2, cmnd9="013000002"))
    assert asked(whole) == []


def test_question_stays_open_when_something_else_of_the_person_changes(whole: Whole) -> None:
    whole.send("procedure.changed", {"procedure_code": "1.001193", "name": "x", "source_system": "dvcqg"})
    whole.send("dossier.submitted", DOSSIER)
    whole.send("citizen.changed", person(ONE, cmnd9="013000001"), person(OTHER, cmnd9="013000001"))
    mismatch = ("IDENTITY_MISMATCH", "dossier.submission", "applicant_name", {"person_key": key(ONE)})
    assert asked(whole) == [mismatch, DUPLICATE]
    for pin in (ONE, OTHER):
        whole.send("citizen.changed", person(pin, 2, cmnd9="013000001", marital_status="SINGLE"))
        assert asked(whole) == [mismatch, DUPLICATE]


def test_two_people_with_one_number_of_social_insurance_are_asked_about(whole: Whole) -> None:
    card = CARD | {"si_number_legacy": "0130000001"}
    whole.send("health_insurance.linked", card | {"pin": ONE}, card | {"pin": OTHER})
    expected = ("POSSIBLE_DUPLICATE_PERSON", "citizen.insurance", "si_number_legacy", {"other_key": key(OTHER)})
    assert asked(whole) == [expected]
    whole.send("health_insurance.linked", card | {"pin": OTHER, "operation": "REVOKE", "source_version": 2})
    assert asked(whole) == []


def test_names_and_placeholders_tie_nobody_together(whole: Whole) -> None:
    whole.send("citizen.changed", person(ONE, cmnd9="000000001"), person(OTHER, cmnd9="000000001"))
    assert asked(whole) == []


def test_only_what_holds_the_record_is_compared(whole: Whole) -> None:
    whole.send("citizen.changed", person(ONE, cmnd9="013000001"), person(OTHER, cmnd9="013000002"))
    whole.send("citizen.changed", person(OTHER, cmnd9="013000001", source_system="tinh"))
    assert asked(whole) == []
    whole.send("citizen.changed", person(OTHER, 2, operation="REVOKE", cmnd9="013000002"))
    assert asked(whole) == [DUPLICATE]


def test_number_that_very_many_hold_is_asked_about_once(whole: Whole) -> None:
    pins = [f"001299{number:06d}" for number in range(1, 9)]
    whole.send("citizen.changed", *(person(pin, cmnd9="123456780") for pin in pins[:6]))
    assert len(asked(whole)) == 15
    whole.send("citizen.changed", *(person(pin, cmnd9="123456780") for pin in pins[6:]))
    (crowd,) = asked(whole)
    assert crowd == ("POSSIBLE_DUPLICATE_PERSON", "citizen.person", "cmnd9", {"holders": 8})
    whole.send("citizen.changed", *(person(pin, 2) for pin in pins[:2]))
    assert len(asked(whole)) == 15


def test_replaced_pin_is_one_person_with_both_numbers(whole: Whole) -> None:
    whole.send("citizen.changed", person(ONE, cmnd9="013000001"), person(OTHER, cmnd9="013000001"))
    assert asked(whole) == [DUPLICATE]
    whole.send("citizen.changed", person(OTHER, 2, cmnd9="013000001", previous_pin=ONE))
    assert asked(whole) == []
    whole.send("citizen.changed", person(OTHER, 3, cmnd9="013000001"))
    assert asked(whole) == [DUPLICATE]


def decision(verdict: Verdict, minute: int) -> dict[str, Any]:
    about = ReviewId(
        ReviewKind.POSSIBLE_DUPLICATE_PERSON,
        "citizen.person",
        key_of("citizen.changed", ONE),
        key(OTHER),
        "cmnd9",
        "dancu",
    )
    other, at = key_of("citizen.changed", OTHER), DAY + timedelta(minutes=minute)
    decided = Decision(about, verdict, "cb-01", "đã đối chiếu hồ sơ gốc", at, other_key=other)
    return decided.event("hub.desk", "H42")


def test_officer_merges_two_numbers_and_takes_it_back(whole: Whole) -> None:
    whole.send("citizen.changed", person(ONE, cmnd9="013000001"), person(OTHER, cmnd9="013000001"))
    before = whole.rows("SELECT * FROM citizen_person_claim ORDER BY key")
    whole.send("review.decided", decision(Verdict.TAKE, 1))
    assert asked(whole) == []
    assert whole.value("SELECT count(*) FROM same_key") == 2
    whole.send("review.decided", decision(Verdict.WAIT, 2))
    assert asked(whole) == [DUPLICATE]
    assert whole.value("SELECT count(*) FROM same_key") == 0
    assert whole.rows("SELECT * FROM citizen_person_claim ORDER BY key") == before


def test_linked_numbers_that_differ_in_birth_year_or_gender_are_asked_about(whole: Whole) -> None:
    whole.send("citizen.changed", person(ONE), person(OTHER, previous_pin=ONE, birth_year=2098, gender="FEMALE"))
    detail = {"other_key": key(OTHER)}
    assert asked(whole) == [
        ("IDENTITY_MISMATCH", "citizen.person", "birth_year", detail),
        ("IDENTITY_MISMATCH", "citizen.person", "gender", detail),
    ]
    whole.send("citizen.changed", person(ONE, 2, birth_year=2098, gender="UNKNOWN"))
    assert asked(whole) == []


def test_insurance_that_could_not_be_matched_is_asked_about_by_field_and_without_values(whole: Whole) -> None:
    fields = [{"field_name": "full_name"}, {"field_name": "birth_year"}]
    whole.send("health_insurance.linked", CARD | {"pin": ONE, "link_state": "MISMATCH", "mismatch_fields": fields})
    detail = {"link_state": "MISMATCH", "fields": ["full_name", "birth_year"]}
    assert asked(whole) == [("IDENTITY_MISMATCH", "citizen.insurance", "link_state", detail)]
    whole.send("health_insurance.linked", CARD | {"pin": ONE, "source_version": 2})
    assert asked(whole) == []


@pytest.mark.parametrize("person_first", [True, False])
def test_applicant_of_another_name_is_asked_about_whoever_comes_first(whole: Whole, person_first: bool) -> None:
    whole.send("procedure.changed", {"procedure_code": "1.001193", "name": "x", "source_system": "dvcqg"})
    both = [("citizen.changed", person(ONE)), ("dossier.submitted", DOSSIER)]
    for subject, event in both if person_first else both[::-1]:
        assert asked(whole) == []
        whole.send(subject, event)
    mismatch = ("IDENTITY_MISMATCH", "dossier.submission", "applicant_name", {"person_key": key(ONE)})
    assert asked(whole) == [mismatch]
    whole.send("citizen.changed", person(ONE, 2, full_name="LÊ  MINH"))
    assert asked(whole) == []
    whole.send("citizen.changed", person(ONE, 3, full_name="Lê Mình"))
    assert asked(whole) == [mismatch]
    whole.send("dossier.submitted", DOSSIER | {"source_version": 2, "applicant_type": "BUSINESS"})
    assert asked(whole) == []


def test_year_only_against_a_full_birth_date_is_no_conflict_and_both_stand_as_given(whole: Whole) -> None:
    whole.send("citizen.changed", person(ONE, birth_month=3, birth_day=2))
    whole.send("citizen.changed", person(ONE, source_system="tinh"))
    assert whole.rows("SELECT field FROM conflict") == []
    given = whole.rows("SELECT birth_year, birth_month, birth_day FROM citizen_person_claim ORDER BY birth_month")
    assert [tuple(row) for row in given] == [(2099, 3, 2), (2099, None, None)]
    whole.send("citizen.changed", person(ONE, 2, source_system="tinh", birth_year=2098))
    assert [row.field for row in whole.rows("SELECT field FROM conflict")] == ["birth_year"]
