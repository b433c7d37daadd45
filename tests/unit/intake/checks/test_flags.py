"""Quality flags: each bit, its neighbours, the limits of the policy, and the words."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.codec.catalogue import load_catalogue
from hub.codec.polars_types import dtype_of
from hub.intake.checks.flags import with_flags
from hub.model.errors import ConfigError
from hub.model.flags import WORDS, Flag, StandingFlag, flags_in
from hub.model.policies.quality import QualityRules, quality_rules
from tests.oracles.pins import disagreements, is_known_prefix, is_placeholder

DEFAULTS = QualityRules()
AT = datetime(2025, 8, 1, tzinfo=UTC)
PERSON: dict[str, Any] = {"pin": "001185000123", "full_name": "Trần Thị Hòa", "gender": "FEMALE", "birth_year": 1985}
WHOLE = PERSON | {"birth_month": 2, "birth_day": 28}
ENVELOPE: dict[str, Any] = {
    "occurred_at": AT,
    "recorded_at": AT + timedelta(minutes=1),
    "operation": "UPDATE",
    "unit_scheme": "GSO_2025",
}
CODE = "H42.12.34-250701-0001"
SUBMITTED: dict[str, Any] = {"dossier_code": CODE, "procedure_code": "1.001193"}
PROGRESSED: dict[str, Any] = {"dossier_code": CODE, "status": "REGISTERED"}
RESIDENCE: dict[str, Any] = {"pin": "001185000123", "kind": "PERMANENT", "action": "REGISTER", "commune_code": "00004"}


def flags_of(subject: str, *rows: dict[str, Any], rules: QualityRules = DEFAULTS) -> list[set[Flag]]:
    version = load_catalogue().latest(subject)
    schema = {spec.name: dtype_of(spec) for spec in version.fields}
    filled = [{name: (ENVELOPE | row).get(name) for name in schema} for row in rows]
    found = with_flags(pl.DataFrame(filled, schema=schema), version, rules)["flags"]
    assert found.dtype == pl.Int32
    assert 0 not in found
    return [set(flags_in(mask)) for mask in found]


def flags_of_one(subject: str, row: dict[str, Any], rules: QualityRules = DEFAULTS) -> set[Flag]:
    """Among neighbours without doubts, which must stay without."""
    neighbours = {"citizen.changed": WHOLE, "dossier.submitted": SUBMITTED, "residence.changed": RESIDENCE}
    neighbour = neighbours.get(subject, PROGRESSED)
    found = flags_of(subject, neighbour, row, neighbour, rules=rules)
    assert found[0] == found[2] == set()
    return found[1]


PEOPLE: list[tuple[dict[str, Any], set[Flag]]] = [
    ({}, set()),
    ({"gender": "MALE"}, {Flag.PIN_MISMATCH}),
    ({"birth_year": 1984}, {Flag.PIN_MISMATCH}),
    ({"gender": "OTHER"}, set()),
    ({"pin": "003185000123"}, {Flag.PIN_PREFIX_UNKNOWN}),
    ({"pin": "101185000123"}, set()),
    ({"pin": "000000000001", "gender": None, "birth_year": None, "birth_month": None, "birth_day": None},
     {Flag.PLACEHOLDER_ID, Flag.PIN_PREFIX_UNKNOWN}),
    ({"pin": "777777777777", "gender": None, "birth_year": None, "birth_month": None, "birth_day": None},
     {Flag.PLACEHOLDER_ID}),
    ({"cmnd9": "000000001"}, {Flag.PLACEHOLDER_ID}),
    ({"cmnd9": "013000001"}, set()),
    ({"father_pin": "123456789"}, {Flag.CMND9_IN_PIN_FIELD}),
    ({"father_pin": "111111111"}, {Flag.CMND9_IN_PIN_FIELD, Flag.PLACEHOLDER_ID}),
    ({"father_pin": "không rõ"}, {Flag.PIN_FORMAT_OTHER}),
    ({"father_pin": "003085000123"}, {Flag.PIN_PREFIX_UNKNOWN}),
    ({"father_pin": "001085000123"}, set()),
    ({"full_name": "Tra\u0302\u0300n Thi\u0323 Hòa"}, {Flag.NAME_NOT_NFC}),
    ({"mother_name": "Nguye\u0302\u0303n"}, {Flag.NAME_NOT_NFC}),
    ({"birth_month": 2, "birth_day": 31}, {Flag.IMPOSSIBLE_DATE}),
    ({"birth_month": 2, "birth_day": 29}, {Flag.IMPOSSIBLE_DATE}),
    ({"birth_month": None}, {Flag.IMPOSSIBLE_DATE, Flag.PARTIAL_BIRTH_DATE}),
    ({"birth_year": None}, {Flag.IMPOSSIBLE_DATE}),
    ({"birth_day": None}, {Flag.PARTIAL_BIRTH_DATE}),
    ({"birth_month": None, "birth_day": None}, {Flag.PARTIAL_BIRTH_DATE}),
    ({"pin": "001184000123", "birth_year": 1984, "birth_month": 2, "birth_day": 29}, set()),
    ({"life_status_year": 2025, "life_status_day": 3}, {Flag.IMPOSSIBLE_DATE}),
    ({"life_status_year": 2026}, {Flag.TIME_IN_FUTURE}),
    ({"pin": "001399000123", "birth_year": 2099}, {Flag.TIME_IN_FUTURE}),
    ({"marital_status": "UNKNOWN"}, {Flag.UNKNOWN_ENUM}),
    ({"unit_scheme": "GSO_2004"}, set()),
    ({"occurred_at": AT - timedelta(days=4)}, {Flag.LATE}),
    ({"occurred_at": AT - timedelta(days=4), "causation_id": "full-read"}, set()),
    ({"occurred_at": AT - timedelta(days=4), "causation_id": "another"}, {Flag.LATE}),
    ({"occurred_at": AT - timedelta(days=4), "operation": "SNAPSHOT"}, set()),
    ({"occurred_at": AT + timedelta(minutes=7)}, {Flag.TIME_IN_FUTURE}),
    ({"occurred_at": AT + timedelta(minutes=5)}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), PEOPLE)
def test_event_of_a_person_gets_its_flags_and_its_neighbours_none(change: dict[str, Any], expected: set[Flag]) -> None:
    assert flags_of_one("citizen.changed", WHOLE | change) == expected


OTHERS: list[tuple[str, dict[str, Any], set[Flag]]] = [
    ("residence.changed", {"unit_scheme": "GSO_2004"}, {Flag.CODE_SCHEME_MISMATCH}),
    ("residence.changed", {"unit_scheme": "GSO_2004", "commune_code": None}, set()),
    ("residence.changed",
     {"occurred_at": datetime(2025, 6, 30, 16, 59, tzinfo=UTC), "recorded_at": datetime(2025, 6, 30, 17, tzinfo=UTC)},
     {Flag.CODE_SCHEME_MISMATCH}),
    ("residence.changed",
     {"occurred_at": datetime(2025, 6, 30, 17, tzinfo=UTC), "recorded_at": datetime(2025, 6, 30, 17, tzinfo=UTC)},
     set()),
    ("residence.changed", {"from_date": date(2025, 2, 1), "to_date": date(2025, 1, 1)}, {Flag.DATES_OUT_OF_ORDER}),
    ("dossier.submitted", {"dossier_code": "4711"}, {Flag.CODE_FORMAT_OTHER}),
    ("dossier.submitted", {"dossier_code": "000.17.22.H56-210531-0001"}, set()),
    ("dossier.submitted", {"dossier_code": "H56.14-240823-00001"}, set()),
    ("dossier.submitted", {"applicant_pin": "000000001"}, {Flag.CMND9_IN_PIN_FIELD, Flag.PLACEHOLDER_ID}),
    ("dossier.submitted", {"applicant_pin": "001185000123", "applicant_birth_year": 1986}, {Flag.PIN_MISMATCH}),
    ("dossier.submitted", {"applicant_pin": "123456789", "applicant_birth_year": 1986}, {Flag.CMND9_IN_PIN_FIELD}),
    ("dossier.submitted", {"documents": '[{"component_code":null,"name":"Dinhkem"}]'}, {Flag.PLACEHOLDER_TEXT}),
    ("dossier.submitted", {"documents": '[{"component_code":null,"name":"Tờ khai đính kèm"}]'}, set()),
    ("dossier.submitted", {"submitted_at": AT + timedelta(days=1)}, {Flag.TIME_IN_FUTURE}),
    ("dossier.progressed", {"status": "ACCEPTED"}, {Flag.NO_DUE_DATE}),
    ("dossier.progressed", {"status": "ACCEPTED", "due_at": AT + timedelta(days=3)}, set()),
    ("dossier.progressed", {"status": "RESULT_RETURNED"}, set()),
    ("dossier.progressed", {"status": "UNKNOWN", "raw_status": "posting"}, {Flag.UNKNOWN_ENUM}),
    ("dossier.progressed", {"status": "REGISTERED", "previous_status": "RESULT_READY"}, {Flag.BACKWARD_STATUS}),
    ("dossier.progressed", {"status": "RESULT_READY", "previous_status": "REGISTERED"}, set()),
    (
        "dossier.progressed",
        {"status": "REGISTERED", "previous_status": "RESULT_READY", "operation": "CORRECT", "status_reason": "x"},
        set(),
    ),
    (
        "dossier.progressed",
        {"status": "REGISTERED", "previous_status": "RESULT_READY", "operation": "CORRECT", "status_reason": " "},
        {Flag.BACKWARD_STATUS},
    ),
    ("dossier.progressed", {"received_at": AT, "due_at": AT - timedelta(days=1)}, {Flag.DATES_OUT_OF_ORDER}),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "change", "expected"), OTHERS)
def test_event_of_another_subject_gets_its_flags(subject: str, change: dict[str, Any], expected: set[Flag]) -> None:
    good = {"residence.changed": RESIDENCE, "dossier.submitted": SUBMITTED, "dossier.progressed": PROGRESSED}[subject]
    assert flags_of_one(subject, good | change) == expected


def test_due_date_is_missed_when_no_row_has_one() -> None:
    row = PROGRESSED | {"status": "IN_PROCESS"}
    assert flags_of("dossier.progressed", row, row) == [{Flag.NO_DUE_DATE}] * 2


def test_no_rows_give_no_flags() -> None:
    assert flags_of("citizen.changed") == []


def test_invented_people_pass_when_the_policy_says_so() -> None:
    invented = WHOLE | {"pin": "000399000123", "birth_year": 2099}
    assert flags_of("citizen.changed", invented) == [{Flag.PIN_PREFIX_UNKNOWN, Flag.TIME_IN_FUTURE}]
    assert flags_of("citizen.changed", invented, rules=QualityRules(invented_pins=True)) == [set()]


def test_flag_that_the_policy_puts_off_is_not_set() -> None:
    rules = quality_rules({"off": ["PARTIAL_BIRTH_DATE"], "late_after_hours": 1})
    late = PERSON | {"occurred_at": AT - timedelta(hours=2)}
    assert flags_of("citizen.changed", late, rules=rules) == [{Flag.LATE}]


def test_policy_says_everything_that_is_wrong_with_its_quality_table() -> None:
    table = {"late_after_hours": 0, "future_tolerance_seconds": True, "invented_pins": 1, "off": ["LATER"], "lat": 1}
    with pytest.raises(ConfigError) as raised:
        quality_rules(table)
    assert len(raised.value.problems) == 5


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.text("0123456789", min_size=12, max_size=12), st.sampled_from(["000000000001", "333333333333"])
            ),
            st.sampled_from([None, "MALE", "FEMALE", "OTHER"]),
            st.one_of(st.none(), st.integers(1900, 2025)),
        ),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
)
def test_flags_of_pins_are_what_the_rules_say_one_by_one(
    people: list[tuple[str, str | None, int | None]], invented: bool
) -> None:
    rows = [{"pin": pin, "full_name": "A", "gender": gender, "birth_year": year} for pin, gender, year in people]
    found = flags_of("citizen.changed", *rows, rules=QualityRules(invented_pins=invented))
    for (pin, gender, year), flags in zip(people, found, strict=True):
        assert (Flag.PLACEHOLDER_ID in flags) == is_placeholder(pin)
        assert (Flag.PIN_PREFIX_UNKNOWN in flags) == (not is_known_prefix(pin[:3], invented))
        assert (Flag.PIN_MISMATCH in flags) == bool(disagreements(pin, gender, year))


def test_every_flag_has_words() -> None:
    assert set(WORDS) == {*Flag, *StandingFlag}
    assert all(words.vn and words.en and words.basis for words in WORDS.values())


def test_flags_fit_the_audit_logs_integer() -> None:
    assert max(Flag) < 2**31
