"""How far a whole number of a source may lie: to the last one that its field holds, on both sides."""

import struct
from decimal import Decimal
from typing import Any

import pytest

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.lookalikes import Bits, Single
from connectors.conversion.numbers import to_whole
from connectors.raw.narrow import SingleColumn

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


@pytest.mark.parametrize(("form", "least_unsure"), [(float, 2**53), (Single, 2**24)])
@pytest.mark.parametrize("sign", [1, -1])
def test_number_with_an_exponent_is_whole_as_long_as_it_stands_for_one_alone(
    form: type[float], least_unsure: int, sign: int
) -> None:
    assert to_whole(None, 2**60)(form(sign * (least_unsure - 1))) == sign * (least_unsure - 1)
    for number in (least_unsure, least_unsure + 2, 2 * least_unsure):
        with pytest.raises(Unmappable):
            to_whole(None, 2**60)(form(sign * number))


@pytest.mark.parametrize(("said", "number"), [("11001000", 200), ("00000101", 5), ("0", 0), ("", None)])
def test_bit_string_is_the_number_that_the_database_casts_it_to(said: str, number: int | None) -> None:
    assert to_whole(None, LIMIT)(Bits(said)) == number


@pytest.mark.parametrize("exact", [1234567.0, 1500250.0, 12345678.0, 16777215.0, -1234567.0])
def test_float_of_mariadb_is_read_with_all_its_digits(exact: float) -> None:
    found = SingleColumn().process_result_value(exact, None)
    assert (found, to_whole(None, LIMIT)(found)) == (exact, int(exact))


def test_float_of_mariadb_is_written_as_the_shortest_text_that_means_it() -> None:
    held = struct.unpack("f", struct.pack("f", 0.1))[0]
    assert repr(SingleColumn().process_result_value(held, None)) == "0.1"
