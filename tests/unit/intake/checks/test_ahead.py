"""Which events count as dated ahead: by their time or by a version that is a time, past the limit and not at it."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from hub.reconcile.parking.dated_ahead import is_ahead, rows_ahead

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)
LIMIT = timedelta(hours=1)
EARLIER = NOW - timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)


def us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND


def ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND


def ahead(occurred: datetime = EARLIER, version: int = 1, recorded: datetime = NOW) -> bool:
    time = pl.Datetime("us", "UTC")
    schema = {"occurred_at": time, "recorded_at": time, "source_version": pl.Int64()}
    frame = pl.DataFrame([(occurred, recorded, version)], schema=schema, orient="row")
    found = frame.select(is_ahead(LIMIT, NOW)).item()
    assert isinstance(found, bool)
    return found


def test_event_is_ahead_when_it_occurred_past_the_limit_after_it_was_published() -> None:
    assert not ahead(EARLIER)
    assert not ahead(NOW + LIMIT)
    assert ahead(NOW + LIMIT + MICROSECOND)
    assert ahead(EARLIER + LIMIT + MICROSECOND, recorded=EARLIER)


def test_time_of_publishing_counts_no_further_than_now() -> None:
    assert ahead(NOW + LIMIT + MICROSECOND, recorded=NOW + timedelta(days=9))
    assert not ahead(NOW + LIMIT, recorded=NOW + timedelta(days=9))


@pytest.mark.parametrize(("count", "step"), [(us, MICROSECOND), (ms, MILLISECOND)], ids=["us", "ms"])
def test_version_that_is_a_time_is_held_to_the_same_limit(count: object, step: timedelta) -> None:
    assert callable(count)
    assert not ahead(version=count(NOW + LIMIT))
    assert ahead(version=count(NOW + LIMIT + step))
    assert ahead(version=count(LAST))


def test_version_that_is_no_time_of_these_centuries_is_a_number() -> None:
    assert not ahead(version=us(LAST) + 1)
    assert not ahead(version=2**63 - 1)
    assert not ahead(version=ms(LAST) + 1)
    before = FIRST - timedelta(days=400)
    for count in (us, ms):
        assert not ahead(before, count(FIRST) - 1, before)
        assert ahead(before, count(FIRST), before)


def test_rows_that_an_officer_let_in_are_not_held_and_the_others_wait_for_their_version() -> None:
    schema = {"log": pl.Int16(), "log_offset": pl.Int64(), "source_version": pl.Int64(), "ahead": pl.Boolean()}
    rows = [(1, 5, 50, True), (1, 6, 60, False), (1, 7, 70, True), (2, 5, 80, True)]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    said = {
        (1, 5): "officer:TIME_IN_FUTURE:50",
        (1, 7): "officer:TIME_IN_FUTURE:70",
        (2, 5): "officer:TIME_IN_FUTURE:80",
    }

    def held(*let_in: tuple[int, int]) -> dict[tuple[int, int], str]:
        found = rows_ahead(frame, frozenset(let_in))
        return {(log, offset): waits for log, offset, waits in found.select("log", "log_offset", "waits_for").rows()}

    assert held() == said
    assert held((1, 5), (9, 9)) == {place: waits for place, waits in said.items() if place != (1, 5)}
    assert rows_ahead(frame.filter(~pl.col("ahead")), frozenset()).is_empty()
    assert rows_ahead(frame.drop("ahead"), frozenset()).is_empty()
