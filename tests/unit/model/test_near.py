"""Near names: what somebody meant who wrote another name."""

import unicodedata

import pytest

from hub.model.texts.near import did_you_mean, near_names, unknown_name

WORDS = ("Mới", "Đã tiếp nhận", "Đang giải quyết", "Chờ bổ sung", "Đã trả")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ĐANG GIẢI QUYẾT", "Đang giải quyết"),
        ("Đang  giải quyết", "Đang giải quyết"),
        ("Đang giải\u00a0quyết", "Đang giải quyết"),
        ("Dang giai quyet", "Đang giải quyết"),
        ("Đang giải quyết hồ sơ", "Đang giải quyết"),
        (unicodedata.normalize("NFD", "đã trả"), "Đã trả"),
        ("moi", "Mới"),
    ],
)
def test_near_name_is_found_whatever_capitals_spaces_and_accents(given: str, expected: str) -> None:
    assert near_names(given, WORDS)[0] == expected


def test_nothing_near_is_nothing() -> None:
    assert near_names("xyz", WORDS) == ()
    assert near_names("", WORDS) == ()
    assert did_you_mean("xyz", WORDS) == ""


def test_suggestion_is_a_question_to_append() -> None:
    assert did_you_mean("valid_form", ("valid_from", "valid_until", "role")) == "; did you mean 'valid_from'?"
    assert did_you_mean("statuz", ["status", "sub_status"]).startswith("; did you mean 'status'")
    assert did_you_mean("subject", ["subjects"]) == "; did you mean 'subjects'?"


def test_unknown_name_suggests_a_near_one_or_lists_all() -> None:
    assert unknown_name("field", "subject", {"subjects", "role"}) == "unknown field 'subject'; did you mean 'subjects'?"
    assert unknown_name("field", "x", {"subjects", "role"}) == "unknown field 'x'; there are role, subjects"
