"""The checks before the merge: each reason, its neighbours, which reason comes first, and no value in any detail."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from hub.codec.catalogue import load_catalogue
from hub.codec.polars_types import dtype_of
from hub.intake.checks.check import Checked, SourceRules, check, outcome_column
from hub.model.entities import SUBJECTS
from hub.model.keys import entity_key
from hub.model.outcomes import OUTCOME_OF_REASON, Reason
from hub.model.policies.policy import parse_policy

SECRET = "a secret of the tests"  # noqa: S105 - of no system
START, CUT_OVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 6, 30, 17, tzinfo=UTC)
POLICY = parse_policy(
    b"""
    [[source]]
    code = "old"
    agency = "H25"
    role = "province"
    subjects = ["residence.changed"]
    valid_from = 2020-01-01T00:00:00Z
    valid_until = 2025-07-01T00:00:00+07:00
    [[source]]
    code = "nso"
    agency = "G12"
    role = "statistics_office"
    subjects = ["admin_unit.changed"]
    """
)
NUMBERS = {"old": 7, "nso": 8}
GOOD: dict[str, Any] = {
    "event_id": bytes(16),
    "occurred_at": datetime(2025, 1, 1, tzinfo=UTC),
    "recorded_at": datetime(2025, 1, 1, tzinfo=UTC),
    "source_system": "old",
    "source_agency": "H25",
    "source_epoch": 1,
    "source_version": 1,
    "operation": "UPDATE",
    "unit_scheme": "GSO_2004",
    "pin": "000299000001",
    "kind": "PERMANENT",
    "action": "REGISTER",
    "commune_code": "13285",
}


def frame_of(subject: str, rows: list[dict[str, Any]], keys: list[bytes | None] | None = None) -> pl.DataFrame:
    schema = {spec.name: dtype_of(spec) for spec in load_catalogue().latest(subject).fields}
    entity, _ = SUBJECTS[subject]
    right: list[bytes | None] = [
        entity_key(SECRET, entity.name, [str(row[name]) for name in entity.key]) for row in rows
    ]
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
    return frame.with_columns(pl.Series("key", keys or right, pl.Binary)).with_row_index("row")


def checked(*rows: dict[str, Any], keys: list[bytes | None] | None = None) -> Checked:
    version = load_catalogue().latest("residence.changed")
    frame = frame_of("residence.changed", list(rows), keys)
    return check(frame, version, *SUBJECTS["residence.changed"], SourceRules.of(POLICY, NUMBERS), SECRET)


def reasons(found: Checked) -> dict[int, str]:
    return dict(found.refused.select("row", "reason").iter_rows())


BAD: list[tuple[str, dict[str, Any], Reason]] = [
    ("pin of eleven digits", {"pin": "00029900000"}, Reason.INVALID_VALUE),
    ("pin with a line after it", {"pin": "000299000001\n"}, Reason.INVALID_VALUE),
    ("pin of other digits", {"pin": "٠٠٠٢٩٩٠٠٠٠٠١"}, Reason.INVALID_VALUE),
    ("version below zero", {"source_version": -1}, Reason.INVALID_VALUE),
    ("epoch below zero", {"source_epoch": -1}, Reason.INVALID_VALUE),
    ("occurred in 1799", {"occurred_at": datetime(1799, 12, 31, tzinfo=UTC)}, Reason.INVALID_VALUE),
    ("recorded in 2400", {"recorded_at": datetime(2400, 1, 1, tzinfo=UTC)}, Reason.INVALID_VALUE),
    ("lived there to 1799: without an end it would last", {"to_date": date(1799, 12, 31)}, Reason.INVALID_VALUE),
    ("country by its name: without one it is Viet Nam", {"country_code": "LAO"}, Reason.INVALID_VALUE),
    ("source nobody knows", {"source_system": "nobody"}, Reason.SOURCE_UNKNOWN),
    ("source of another subject", {"source_system": "nso"}, Reason.SOURCE_NOT_ALLOWED),
    ("before the start", {"occurred_at": START - timedelta(microseconds=1)}, Reason.BEFORE_START),
    ("at the cut-over", {"occurred_at": CUT_OVER}, Reason.AFTER_CUT_OVER),
]


@pytest.mark.parametrize(("changed", "reason"), [item[1:] for item in BAD], ids=[item[0] for item in BAD])
def test_row_is_refused_with_its_reason_and_neighbours_pass(changed: dict[str, Any], reason: Reason) -> None:
    found = checked(GOOD, GOOD | changed, GOOD)
    assert reasons(found) == {1: reason.value}
    assert found.passed["row"].to_list() == [0, 2]


@pytest.mark.parametrize(
    "changed",
    [
        {"occurred_at": START},
        {"occurred_at": CUT_OVER - timedelta(microseconds=1)},
        {"commune_code": None, "province_code": None, "from_date": None},
        {"source_version": 0, "source_epoch": 0},
        {"from_date": date(1800, 1, 1), "to_date": date(2399, 12, 31)},
    ],
)
def test_row_at_the_edge_of_its_rules_passes(changed: dict[str, Any]) -> None:
    assert reasons(checked(GOOD | changed)) == {}


@pytest.mark.parametrize("key", [None, b"", bytes(16), bytes(15)])
def test_key_that_is_not_the_hash_of_the_entity_key_is_refused(key: bytes | None) -> None:
    right = entity_key(SECRET, "citizen", [GOOD["pin"]])
    found = checked(GOOD, GOOD, keys=[right, key])
    assert reasons(found) == {1: Reason.KEY_MISMATCH.value}
    assert reasons(checked(GOOD, keys=[right + b"\0"])) == {0: Reason.KEY_MISMATCH.value}
    assert reasons(checked(GOOD, keys=[entity_key("another secret", "citizen", [GOOD["pin"]])])) != {}


def test_first_reason_wins_values_then_key_then_source() -> None:
    wrong_all = GOOD | {"pin": "x", "source_system": "nobody"}
    wrong_key_and_source = GOOD | {"source_system": "nobody"}
    not_allowed_and_late = GOOD | {"source_system": "nso", "occurred_at": CUT_OVER}
    key = entity_key(SECRET, "citizen", [GOOD["pin"]])
    found = checked(wrong_all, wrong_key_and_source, not_allowed_and_late, keys=[bytes(16), bytes(16), key])
    assert reasons(found) == {
        0: Reason.INVALID_VALUE.value,
        1: Reason.KEY_MISMATCH.value,
        2: Reason.SOURCE_NOT_ALLOWED.value,
    }


def test_i8_detail_names_the_field_and_never_the_value() -> None:
    found = checked(*(GOOD | changed for _, changed, _ in BAD))
    for detail, (_, changed, reason) in zip(found.refused["detail"], BAD, strict=True):
        for name, value in changed.items():
            assert str(value).strip() not in detail
            if reason is Reason.INVALID_VALUE:
                assert detail.startswith(f"{name}: ")


def test_passed_rows_have_source_hash_and_revoked_and_nothing_internal() -> None:
    found = checked(GOOD, GOOD | {"operation": "REVOKE"}, GOOD | {"pin": "x"})
    passed = found.passed
    assert passed["source"].to_list() == [7, 7]
    assert passed.schema["source"] == pl.Int16
    assert passed["revoked"].to_list() == [False, True]
    assert passed["content_hash"].dtype == pl.Int64
    assert not [name for name in (*passed.columns, *found.refused.columns) if name.startswith("_")]


def test_every_row_is_passed_or_refused_once_in_order() -> None:
    rows = [GOOD | (BAD[number % len(BAD)][1] if number % 3 else {}) for number in range(60)]
    found = checked(*rows)
    assert sorted([*found.passed["row"], *found.refused["row"]]) == list(range(60))
    assert found.passed["row"].is_sorted()
    assert checked().passed.is_empty()


def test_key_of_several_fields_is_checked() -> None:
    unit = GOOD | {"source_system": "nso", "scheme": "GSO_2004", "unit_code": "13285", "valid_from": date(2004, 7, 1)}
    unit |= {"level": "COMMUNE", "name": "x"}
    version = load_catalogue().latest("admin_unit.changed")
    frame = frame_of("admin_unit.changed", [unit, unit | {"unit_code": "1"}])
    rules = SourceRules.of(POLICY, NUMBERS)
    found = check(frame, version, *SUBJECTS["admin_unit.changed"], rules, SECRET)
    assert reasons(found) == {1: Reason.INVALID_VALUE.value}


def test_outcome_follows_the_reason() -> None:
    frame = pl.DataFrame({"reason": [reason.value for reason in Reason]}).with_columns(outcome=outcome_column())
    assert frame["outcome"].to_list() == [OUTCOME_OF_REASON[reason].value for reason in Reason]


def test_source_ordered_by_time_gets_the_time_as_its_version() -> None:
    text = """
    [[source]]
    code = "clock"
    agency = "H25"
    role = "province"
    subjects = ["residence.changed"]
    order = "time"
    [[source]]
    code = "old"
    agency = "H25"
    role = "province"
    subjects = ["residence.changed"]
    """
    sources = SourceRules.of(parse_policy(text.encode()), {"clock": 1, "old": 2})
    rows = [GOOD | {"source_system": "clock", "source_version": 9}, GOOD | {"source_version": 9}]
    version = load_catalogue().latest("residence.changed")
    found = check(frame_of("residence.changed", rows), version, *SUBJECTS["residence.changed"], sources, SECRET)
    assert found.passed["source_version"].to_list() == [1_735_689_600_000_000, 9]
