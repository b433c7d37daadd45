"""Retry: only what the environment did, for as long as the policy says, waiting longer each time."""

import logging

import pytest

from hub.model.errors import (
    ConcurrentUpdateError,
    ConfigError,
    HubError,
    LostRangeError,
    PoisonError,
    RetryableError,
    UnreachableError,
)
from hub.retry import ENVIRONMENT, SHORT_COMMAND, RetryPolicy


class Flaky:
    """Fails a number of times, then works; notes the waits between."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self.waits: list[float] = []
        self._failures = failures
        self._error = error

    def __call__(self) -> str:
        """Fail or work."""
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "done"

    async def run_async(self) -> str:
        """Fail or work, asynchronously."""
        return self()

    def run(self, policy: RetryPolicy) -> str:
        """Call by a policy, without waiting."""
        return policy.retrying(sleep=self.waits.append)(self)


@pytest.mark.parametrize("error", [RetryableError("later"), UnreachableError("no broker")])
def test_retryable_error_is_tried_again_until_it_works(error: Exception) -> None:
    flaky = Flaky(12, error)
    assert flaky.run(ENVIRONMENT) == "done"
    assert flaky.calls == 13


@pytest.mark.parametrize(
    "error",
    [
        ConcurrentUpdateError("x"),
        PoisonError("BAD_MAGIC", "x"),
        ConfigError(["x"]),
        LostRangeError("x"),
        HubError("x"),
        OSError("x"),
        ValueError("x"),
    ],
)
def test_any_other_error_passes_at_once(error: Exception) -> None:
    flaky = Flaky(1, error)
    with pytest.raises(type(error)):
        flaky.run(ENVIRONMENT)
    assert (flaky.calls, flaky.waits) == (1, [])


def test_waits_grow_from_the_first_to_the_longest_and_are_jittered() -> None:
    flaky = Flaky(10, RetryableError("later"))
    flaky.run(ENVIRONMENT)
    for number, wait in enumerate(flaky.waits):
        least = min(ENVIRONMENT.first_s * 2**number, ENVIRONMENT.most_s)
        assert least <= wait <= min(least + ENVIRONMENT.first_s, ENVIRONMENT.most_s)
    assert flaky.waits[-1] == ENVIRONMENT.most_s
    others = [Flaky(1, RetryableError("later")) for _ in range(8)]
    assert len({other.run(ENVIRONMENT) and other.waits[0] for other in others}) > 1


def test_last_error_is_raised_as_it_is_when_the_time_is_up() -> None:
    flaky = Flaky(1_000, UnreachableError("no broker"))
    with pytest.raises(UnreachableError, match="no broker"):
        flaky.run(RetryPolicy(first_s=0.2, most_s=1.0, give_up_after_s=0.0))
    assert flaky.calls == 1
    assert ENVIRONMENT.give_up_after_s is None
    assert SHORT_COMMAND.give_up_after_s is not None


def test_each_retry_is_logged_with_its_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "hub.retry"):
        Flaky(2, RetryableError("the disk is full")).run(ENVIRONMENT)
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "try 1 failed (the disk is full)",
        "try 2 failed (the disk is full)",
    ]


async def test_asynchronous_code_is_retried_by_the_same_list() -> None:
    policy = RetryPolicy(first_s=0.001, most_s=0.002, give_up_after_s=None)
    flaky = Flaky(3, RetryableError("later"))
    async for attempt in policy.retrying_async(before_sleep=lambda _: None):
        with attempt:
            flaky()
    assert flaky.calls == 4
    poisoned = Flaky(1, PoisonError("BAD_MAGIC", "x"))
    retrying = policy.retrying_async()
    with pytest.raises(PoisonError):
        await retrying(poisoned.run_async)
    assert poisoned.calls == 1
