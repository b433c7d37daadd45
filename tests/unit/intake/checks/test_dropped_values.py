"""A bad optional value on the way in: the event goes on without it, with a note and a flag; a required one refuses."""

import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from hub.codec.catalogue import load_catalogue
from hub.codec.dropped import without_dropped
from hub.intake.checks.check import Checked, SourceRules, check
from hub.model.entities import SUBJECTS
from hub.model.flags import Flag, flags_in
from hub.model.policies.policy import parse_policy
from hub.model.values.doubtful import notes_in
from tests.unit.intake.checks.test_check import GOOD, SECRET, frame_of
from tests.unit.intake.checks.test_lengths import DOSSIER, PERSON

PROGRESS = GOOD | {"dossier_code": "H25-250601-0001", "status": "RESULT_RETURNED"}
POLICY = parse_policy(
    b"""
    [[source]]
    code = "old"
    agency = "H25"
    role = "province"
    subjects = ["residence.changed", "dossier.submitted", "dossier.progressed", "citizen.changed", "identity.changed"]
    """
)
DROPPED, ZEROS = Flag.FIELD_DROPPED, Flag.LEADING_ZEROS_LOST


def checked(subject: str, *rows: dict[str, Any]) -> Checked:
    version, (entity, aspect) = load_catalogue().latest(subject), SUBJECTS[subject]
    found = check(frame_of(subject, list(rows)), version, entity, aspect, SourceRules.of(POLICY, {"old": 7}), SECRET)
    assert found.passed.height + found.refused.height == len(rows)
    return found


def flags(found: Checked) -> list[set[Flag]]:
    """The flags of values; others have nothing to do with them."""
    return [set(flags_in(mask)) & {DROPPED, ZEROS} for mask in found.passed["flags"]]


def hashes(found: Checked) -> list[int]:
    return found.passed["content_hash"].to_list()


BAD: list[tuple[str, dict[str, Any], str, Any, str]] = [
    ("dossier.submitted", DOSSIER, "applicant_birth_year", 97, "OUT_OF_RANGE"),
    ("dossier.submitted", DOSSIER, "applicant_birth_year", 7019, "OUT_OF_RANGE"),
    ("dossier.submitted", DOSSIER, "applicant_commune_code", "2635", "LEADING_ZEROS_LOST"),
    ("dossier.submitted", DOSSIER, "applicant_commune_code", "xã Đoài", "WRONG_FORM"),
    ("dossier.submitted", DOSSIER, "applicant_province_code", "1", "LEADING_ZEROS_LOST"),
    ("dossier.submitted", DOSSIER, "applicant_pin", "11099000001", "LEADING_ZEROS_LOST"),
    ("dossier.submitted", DOSSIER, "applicant_phone", "không có", "WRONG_FORM"),
    ("dossier.submitted", DOSSIER, "applicant_email", "không có", "WRONG_FORM"),
    ("dossier.submitted", DOSSIER, "submitted_at", datetime(1, 1, 1, tzinfo=UTC), "OUT_OF_RANGE"),
    ("dossier.submitted", DOSSIER, "linked_parent_code", " H25", "WRONG_FORM"),
    ("dossier.progressed", PROGRESS, "satisfaction_score", 9, "OUT_OF_RANGE"),
    ("dossier.progressed", PROGRESS, "paused_seconds", -1, "OUT_OF_RANGE"),
    ("citizen.changed", PERSON, "birth_month", 13, "OUT_OF_RANGE"),
    ("citizen.changed", PERSON, "nationality", "Việt Nam", "WRONG_FORM"),
    ("citizen.changed", PERSON, "cmnd9", "12345678", "WRONG_FORM"),
    ("citizen.changed", PERSON, "civil_status_doc_date", date(2400, 1, 1), "OUT_OF_RANGE"),
    ("residence.changed", GOOD, "commune_code", "1328", "LEADING_ZEROS_LOST"),
    ("residence.changed", GOOD, "province_code", "036", "WRONG_FORM"),
    ("residence.changed", GOOD, "from_date", date(1799, 12, 31), "OUT_OF_RANGE"),
    ("identity.changed", GOOD, "eid_level", 3, "OUT_OF_RANGE"),
]


@pytest.mark.parametrize(("subject", "good", "field", "value", "why"), BAD, ids=[f"{b[2]} {b[4]}" for b in BAD])
def test_bad_optional_value_is_dropped_with_note_and_flag_and_the_event_goes_on(
    subject: str, good: dict[str, Any], field: str, value: Any, why: str
) -> None:
    found = checked(subject, good, good | {field: value}, good)
    assert found.refused.is_empty()
    assert found.passed[field].to_list() == [good.get(field), None, good.get(field)]
    assert found.passed["doubtful_fields"].to_list() == [None, f"{field} DROPPED {why}", None]
    assert flags(found) == [set(), {DROPPED, ZEROS} if why == "LEADING_ZEROS_LOST" else {DROPPED}, set()]
    kept = [name for name in good if name != field and name in found.passed.columns]
    assert found.passed.select(kept).row(1) == found.passed.select(kept).row(0)


def test_several_bad_values_are_all_noted_in_the_order_of_the_schema() -> None:
    bad = {"applicant_commune_code": "2635", "applicant_birth_year": 97, "applicant_phone": "x"}
    found = checked("dossier.submitted", DOSSIER | bad)
    assert found.passed["doubtful_fields"].to_list() == [
        "applicant_birth_year DROPPED OUT_OF_RANGE; applicant_phone DROPPED WRONG_FORM; "
        "applicant_commune_code DROPPED LEADING_ZEROS_LOST"
    ]
    assert found.passed.select(list(bad)).row(0) == (None, None, None)


def test_required_value_refuses_and_says_that_its_zeros_were_lost() -> None:
    found = checked("citizen.changed", PERSON | {"pin": "11099000001", "birth_year": 97}, PERSON)
    assert found.refused.select("row", "reason", "detail").rows() == [
        (0, "INVALID_VALUE", "pin: has too few digits: leading zeros were lost")
    ]


@pytest.mark.parametrize(
    ("subject", "bad"),
    [
        ("residence.changed", {"country_code": "LAO"}),
        ("residence.changed", {"to_date": date(2400, 1, 1)}),
        ("identity.changed", {"expiry_date": date(2400, 1, 1)}),
    ],
)
def test_optional_value_refuses_where_a_null_would_say_something_itself(subject: str, bad: dict[str, Any]) -> None:
    found = checked(subject, GOOD | bad, GOOD)
    assert found.refused["row"].to_list() == [0]
    assert found.refused["detail"][0].startswith(f"{next(iter(bad))}: ")


def test_content_is_what_the_source_said_so_that_a_repeat_is_a_repeat() -> None:
    bad = DOSSIER | {"applicant_birth_year": 97}
    whole, first, again, other = hashes(
        checked("dossier.submitted", DOSSIER, bad, bad, bad | {"applicant_birth_year": 98})
    )
    assert first == again
    assert len({whole, first, other}) == 3


def test_note_of_a_connector_is_kept_and_the_hubs_is_added_to_it() -> None:
    padded = "applicant_commune_code PADDED LEADING_ZEROS_LOST"
    rows = [
        DOSSIER | {"doubtful_fields": padded, "applicant_commune_code": "02635"},
        DOSSIER | {"doubtful_fields": padded, "applicant_birth_year": 97},
        DOSSIER | {"doubtful_fields": "Nguyễn Văn An, 001099000001"},
    ]
    found = checked("dossier.submitted", *rows)
    assert found.passed["doubtful_fields"].to_list() == [
        padded,
        f"{padded}; applicant_birth_year DROPPED OUT_OF_RANGE",
        "doubtful_fields DROPPED WRONG_FORM",
    ]
    assert flags(found) == [{ZEROS}, {DROPPED, ZEROS}, {DROPPED}]
    plain = checked("dossier.submitted", DOSSIER | {"applicant_commune_code": "02635"})
    assert hashes(found)[0] == hashes(plain)[0], "a note is no part of what the source says"


def test_number_that_was_dropped_names_nobody() -> None:
    found = checked(
        "dossier.submitted", DOSSIER | {"linked_parent_code": " H25"}, DOSSIER | {"linked_parent_code": "H25"}
    )
    assert [key is None for key in found.passed["linked_parent_code_key"]] == [True, False]


def test_row_without_its_only_sensitive_value_has_none() -> None:
    found = checked("citizen.changed", PERSON | {"phone": "x"}, PERSON | {"phone": "0912345678"}, PERSON)
    assert found.passed["sensitive"].to_list() == [False, True, False]


def documents(*items: dict[str, Any]) -> str:
    names = ("component_code", "name", "storage_ref", "sha256", "digitised", "reuse", "from_national_store")
    whole = [{name: item.get(name) for name in names} for item in items]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def test_member_of_a_list_is_dropped_and_its_neighbours_stay() -> None:
    good = {"name": 'Tờ khai "A"', "sha256": "ab" * 32, "reuse": 3}
    bad = [
        {"name": "Đơn", "sha256": "x" * 64, "reuse": 2},
        {"name": "Ảnh", "reuse": 4},
        good,
        {"name": "B", "reuse": -1},
    ]
    rows = [DOSSIER | {"documents": documents(*items)} for items in ([good], [], [good, *bad], [good, good])]
    found = checked("dossier.submitted", *rows, DOSSIER)
    mended = documents(good, {"name": "Đơn", "reuse": 2}, {"name": "Ảnh"}, good, {"name": "B"})
    assert found.passed["documents"].to_list() == [
        *(row["documents"] for row in rows[:2]),
        mended,
        rows[3]["documents"],
        None,
    ]
    notes = "documents.sha256 DROPPED WRONG_FORM; documents.reuse DROPPED OUT_OF_RANGE"
    assert found.passed["doubtful_fields"].to_list() == [None, None, notes, None, None]
    assert flags(found) == [set(), set(), {DROPPED}, set(), set()]
    untouched = hashes(checked("dossier.submitted", *rows))
    assert hashes(found)[:4] == untouched


def test_long_optional_member_of_a_list_is_dropped_and_a_required_one_refuses() -> None:
    long = DOSSIER | {"documents": documents({"name": "A", "component_code": "x" * 51})}
    required = DOSSIER | {"documents": documents({"name": "x" * 4_001})}
    found = checked("dossier.submitted", DOSSIER, long, required)
    assert found.passed["documents"].to_list() == [None, documents({"name": "A"})]
    assert found.passed["doubtful_fields"].to_list() == [None, "documents.component_code DROPPED TOO_LONG"]
    assert found.refused.select("row", "detail").rows() == [(2, "documents.name: longer than 4000 characters")]


def test_row_that_is_refused_for_another_reason_stays_as_it_came() -> None:
    found = checked("dossier.submitted", DOSSIER | {"source_system": "nobody", "applicant_birth_year": 97}, DOSSIER)
    assert found.refused.select("row", "reason").rows() == [(0, "SOURCE_UNKNOWN")]
    assert found.passed["doubtful_fields"].to_list() == [None]


def test_columns_are_the_same_whether_something_was_dropped_or_not() -> None:
    names = [
        checked("dossier.submitted", row).passed.schema for row in (DOSSIER, DOSSIER | {"applicant_birth_year": 97})
    ]
    assert names[0] == names[1]
    assert names[0]["doubtful_fields"] == pl.String()


def test_values_of_an_event_are_shown_without_what_was_dropped_of_it() -> None:
    version = load_catalogue().latest("dossier.submitted")
    read = {
        "applicant_birth_year": 97,
        "note": "x",
        "documents": [{"name": "A", "sha256": "x"}, {"name": "B", "sha256": "ab" * 32}, {"name": "C", "sha256": None}],
    }
    told = "applicant_birth_year DROPPED OUT_OF_RANGE; documents.sha256 DROPPED WRONG_FORM; note PADDED X"
    assert without_dropped(read, notes_in(told), version) == {
        "applicant_birth_year": None,
        "note": "x",
        "documents": [{"name": "A", "sha256": None}, {"name": "B", "sha256": "ab" * 32}, {"name": "C", "sha256": None}],
    }
    assert without_dropped(read, (), version) == read
