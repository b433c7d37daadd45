"""How far a whole number of a source may lie: to the last one that its field holds, on both sides."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.numbers import to_whole

LIMIT = 2**31


@pytest.mark.parametrize("form", [int, str, Decimal], ids=["int", "text", "decimal"])
@pytest.mark.parametrize("number", [-LIMIT, -LIMIT + 1, -1, 0, 1, LIMIT - 1])
def test_whole_number_within_the_limits_is_read(number: int, form: Any) -> None:
    assert to_whole(None, LIMIT)(form(number)) == number


@pytest.mark.parametrize("form", [int, str, Decimal], ids=["int", "text", "decimal"])
@pytest.mark.parametrize("number", [-2 * LIMIT, -LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
def test_whole_number_past_the_limits_is_refused(number: int, form: Any) -> None:
    with pytest.raises(Unmappable) as caught:
        to_whole(None, LIMIT)(form(number))
    assert caught.value.reason is RejectReason.BAD_NUMBER


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53)])
def test_double_is_a_whole_number_as_long_as_it_has_its_last_digits(number: float) -> None:
    assert to_whole(None, 2**60)(number) == int(number)
    with pytest.raises(Unmappable):
        to_whole(None, 2**60)(number * 2)
