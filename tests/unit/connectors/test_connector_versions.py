"""The version of a row: which numbers and times are one, to the last digit of what the hub holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.versions import MOST_VERSION, timely_within, version_getter
from connectors.declared.load import parse_declaration

NOW = datetime(2025, 7, 1, tzinfo=UTC)
STREAM = parse_declaration(
    b"""
    [source]
    code = "s"
    agency = "H25"
    unit_scheme = "GSO_2025"
    url_env = "X"
    [[stream]]
    name = "s"
    connector = "table"
    subject = "dossier.progressed"
    table = "t"
    key = ["ma"]
    version = "ban"
    changed_at = "luc"
    [stream.fields]
    dossier_code = "ma"
    status = { constant = "REGISTERED" }
    """
).streams[0]


def version_of(value: Any) -> Any:
    return version_getter(STREAM, {"ban": 0}, UTC, timely_within(60.0, lambda: NOW))((value,))


@pytest.mark.parametrize("number", [0, 1, MOST_VERSION - 1, MOST_VERSION])
def test_every_number_that_the_hub_can_hold_is_a_version(number: int) -> None:
    assert version_of(number) == version_of(str(number)) == number


@pytest.mark.parametrize("number", [-1, MOST_VERSION + 1, MOST_VERSION + 2])
def test_number_that_the_hub_cannot_hold_is_refused(number: int) -> None:
    with pytest.raises(Unmappable) as caught:
        version_of(number)
    assert caught.value.reason is RejectReason.BAD_VERSION


def test_time_is_counted_in_microseconds_since_1970_and_is_zero_before() -> None:
    first = datetime(1970, 1, 1, tzinfo=UTC)
    step = timedelta(microseconds=1)
    assert [version_of(first + count * step) for count in (-1, 0, 1, 2)] == [0, 0, 1, 2]
    assert version_of("1970-01-01 00:00:01") == 1_000_000


@pytest.mark.parametrize("ahead_s", [60.0, 60.000001])
def test_time_is_taken_up_to_the_tolerance_and_no_further(ahead_s: float) -> None:
    when = NOW + timedelta(seconds=ahead_s)
    if ahead_s == 60.0:
        assert version_of(when) == int(when.timestamp()) * 1_000_000
        return
    with pytest.raises(Unmappable) as caught:
        version_of(when)
    assert caught.value.reason is RejectReason.TIME_IN_FUTURE
