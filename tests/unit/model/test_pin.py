"""The rules of a PIN, and the folding of names: what is doubted, and what is the same name."""

import pytest

from hub.model.pin import PROVINCE_PREFIXES
from hub.model.texts.names import folded, same_name
from tests.oracles.pins import PinFacts, disagreements, is_known_prefix, is_pin, is_placeholder, pin_facts


def test_prefixes_are_those_of_the_63_provinces() -> None:
    assert len(PROVINCE_PREFIXES) == 63
    assert {"001", "035", "096"} <= PROVINCE_PREFIXES
    assert not {"000", "099", "003"} & PROVINCE_PREFIXES


@pytest.mark.parametrize(
    ("pin", "facts"),
    [
        ("001299000123", PinFacts("001", "MALE", 2099)),
        ("035158000123", PinFacts("035", "FEMALE", 1958)),
        ("079306000123", PinFacts("079", "FEMALE", 2006)),
        ("096400000123", PinFacts("096", "MALE", 2100)),
    ],
)
def test_digits_four_to_six_tell_gender_and_birth_year(pin: str, facts: PinFacts) -> None:
    assert pin_facts(pin) == facts


@pytest.mark.parametrize(
    ("gender", "birth_year", "found"),
    [
        ("MALE", 2099, ()),
        ("FEMALE", 2099, ("gender",)),
        ("MALE", 1999, ("birth_year",)),
        ("FEMALE", 1999, ("gender", "birth_year")),
        (None, None, ()),
        ("OTHER", 2099, ()),
        ("UNKNOWN", None, ()),
    ],
)
def test_pin_disagrees_with_what_is_known_only(
    gender: str | None, birth_year: int | None, found: tuple[str, ...]
) -> None:
    assert disagreements("001299000123", gender, birth_year) == found


def test_prefix_of_no_province_is_known_only_for_invented_numbers() -> None:
    assert is_known_prefix("001", invented=False)
    assert is_known_prefix("101", invented=False)
    assert not is_known_prefix("000", invented=False)
    assert is_known_prefix("000", invented=True)
    assert not is_known_prefix("003", invented=True)


@pytest.mark.parametrize("number", ["000000001", "000000000001", "0000000000", "111111111", "999999999999"])
def test_placeholder_is_recognised(number: str) -> None:
    assert is_placeholder(number)


@pytest.mark.parametrize("number", ["001299000123", "100000000", "012345678", "111111112", "", "000000001\n"])
def test_number_of_somebody_is_no_placeholder(number: str) -> None:
    assert not is_placeholder(number)


def test_pin_is_twelve_ascii_digits() -> None:
    assert is_pin("001299000123")
    assert not is_pin("٠٠٠٢٩٩٠٠٠٠٠١")
    assert not is_pin("00129900012")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Trần Thị Hòa", "Trần Thị Hoà"),
        ("Nguyễn Thủy", "NGUYỄN  THUỶ"),
        ("Đỗ Hóa", "Đỗ Hoá"),
        ("Hòa", "Ho\u0300a"),
        ("Lê Quỵ", "lê qụy"),
    ],
)
def test_names_are_the_same_however_they_are_written(one: str, other: str) -> None:
    assert same_name(one, other)


@pytest.mark.parametrize(("one", "other"), [("Hoa", "Hòa"), ("Hòa", "Hóa"), ("Đô", "Do"), ("Thu Ơn", "Thu Ôn")])
def test_other_names_stay_other(one: str, other: str) -> None:
    assert not same_name(one, other)


def test_folding_again_changes_nothing() -> None:
    assert folded(folded("Nguyễn Thị Thuỳ Hoà")) == folded("Nguyễn Thị Thuỳ Hoà")
