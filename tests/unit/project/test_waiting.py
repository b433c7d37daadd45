"""A wait says what it is for and since when: when it begins, every minute, when its reason changes, when it ends."""

import logging

import pytest
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_none

from hub.model.errors import RetryableError
from hub.waiting import AGAIN_S, Waiting


class Clock:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def test_wait_is_said_when_it_begins_then_every_minute_and_when_it_ends(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    waiting = Waiting(clock)
    for _ in range(int(AGAIN_S) * 2 + 1):
        waiting.waits("no Kafka broker answers share")
        clock.now += 1
    assert len(caplog.records) == 3
    assert all("no Kafka broker answers share" in one.message and "since 20" in one.message for one in caplog.records)
    assert waiting.seconds == AGAIN_S * 2 + 1
    assert waiting.goes_on()
    assert "goes on after 121 s" in caplog.messages[-1]
    assert (waiting.why, waiting.since, waiting.seconds) == ("", None, 0.0)
    assert not waiting.goes_on()
    assert len(caplog.records) == 4


def test_another_reason_is_said_at_once_and_counts_from_when_the_wait_began(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = Waiting(clock)
    waiting.waits("one")
    since = waiting.since
    clock.now += 5
    waiting.waits("other")
    assert [one.rsplit(": ", 1)[1] for one in caplog.messages] == ["one", "other"]
    assert waiting.since == since
    assert waiting.seconds == 5


def test_wait_names_the_error_that_is_tried_again(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting(clock)

    def fail() -> None:
        raise RetryableError("the topic is not there")

    retrying = Retrying(
        retry=retry_if_exception_type(RetryableError),
        wait=wait_none(),
        stop=stop_after_attempt(3),
        before_sleep=waiting.note_retry,
    )
    with pytest.raises(RetryError):
        retrying(fail)
    assert waiting.why == "the topic is not there"
    assert len(caplog.records) == 1
