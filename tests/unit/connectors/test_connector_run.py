"""The run loop: the next page is made while the broker takes one, and nothing is stored before it is confirmed."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from connectors.access.ahead import read_ahead
from connectors.base.port import Page, Position, Record
from connectors.faults import LimitError
from connectors.memory.lock import AnotherConnectorError
from connectors.running.run import MORE_REST_S, ConnectorRunsError, RunOptions, rest_s, run
from connectors.running.waits import FIRST_AGAIN_S, Waits
from connectors.testing import QUICK, MemoryPublisher
from hub.model.errors import HubError, UnreachableError


class Pages:
    """A connector of some pages; writes down what happens to it."""

    name = topic = "t"

    def __init__(self, count: int, happened: list[str], fails_at: int = 0) -> None:
        self._count = count
        self._happened = happened
        self._fails_at = fails_at
        self._at = 0
        self.made = threading.Semaphore(0)
        self.waits: list[str | None] = []

    def stored(self) -> Position | None:
        """See ``Connector``."""
        return {"at": self._at}

    def snapshot(self, position: Position | None) -> Iterator[Page]:
        """See ``Connector``; fails once where told to."""
        for number in range(self._at + 1, self._count + 1):
            if number == self._fails_at:
                self._fails_at = 0
                raise UnreachableError("the source is away")
            self._happened.append(f"make {number}")
            if number > 1:
                self.made.release()
            yield Page({"at": number}, [(b"k" * 16, str(number).encode())])

    def changes(self, position: Position) -> Iterator[Page]:
        """See ``Connector``."""
        return iter(())

    def is_held_back(self) -> bool:
        """See ``Connector``."""
        return False

    def held_back_at(self) -> str | None:
        """See ``Connector``."""
        return None

    def held_back_by(self) -> str:
        """See ``Connector``."""
        return "nothing"

    def keep_wait(self, waits_for: str | None, since: datetime) -> None:
        """See ``Connector``."""
        self.waits.append(waits_for)

    def checkpoint(self, page: Page) -> None:
        """See ``Connector``."""
        at = page.position["at"]
        assert isinstance(at, int)
        self._at = at
        self._happened.append(f"store {at}")

    def close(self) -> None:
        """Nothing is held."""


class Broker:
    """A publisher that waits for the next page to be made before it confirms one."""

    def __init__(self, pages: Pages, happened: list[str], last: int, failing: Sequence[str] = ()) -> None:
        self._pages = pages
        self._happened = happened
        self._last = last
        self._failing = list(failing)

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """See ``Publisher``."""
        number = records[0][1].decode()
        self._happened.append(f"publish {number}")
        if number in self._failing:
            self._failing.remove(number)
            raise UnreachableError("no confirmation")
        if int(number) < self._last:
            assert self._pages.made.acquire(timeout=10)
        self._happened.append(f"confirm {number}")

    def close(self) -> None:
        """Nothing is held."""


def happenings(count: int, fails_at: int = 0, failing: Sequence[str] = ()) -> list[str]:
    happened: list[str] = []
    pages = Pages(count, happened, fails_at)
    last = count if not (fails_at or failing) else 0
    broker = Broker(pages, happened, last, failing)
    run([pages], broker, RunOptions(once=True, policy=QUICK))
    return happened


def test_next_page_is_made_while_the_broker_takes_one_and_published_after_it() -> None:
    happened = happenings(4)
    for number in (1, 2, 3):
        assert happened.index(f"make {number + 1}") < happened.index(f"confirm {number}")
        steps = [f"confirm {number}", f"store {number}", f"publish {number + 1}"]
        assert sorted(steps, key=happened.index) == steps
    assert happened[-1] == "store 4"


def test_page_made_ahead_is_not_published_when_the_one_before_it_is_not_confirmed() -> None:
    happened = happenings(3, failing=["2"])
    assert [step for step in happened if step.startswith(("publish", "store"))] == [
        *("publish 1", "store 1", "publish 2"),
        *("publish 2", "store 2", "publish 3", "store 3"),
    ]


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_every_page_is_stored_once_when_the_source_goes_away(fails_at: int) -> None:
    happened = happenings(3, fails_at=fails_at)
    assert [step for step in happened if step.startswith("store")] == ["store 1", "store 2", "store 3"]
    assert {step for step in happened if step.startswith("confirm")} == {"confirm 1", "confirm 2", "confirm 3"}


def test_reading_ahead_is_one_item_ahead_in_one_thread_and_ends_there() -> None:
    threads: list[int] = []
    reached = threading.Semaphore(0)

    def items() -> Iterator[int]:
        try:
            for number in range(5):
                threads.append(threading.get_ident())
                reached.release()
                yield number
        finally:
            threads.append(threading.get_ident())

    ahead = read_ahead(items())
    assert next(ahead) == 0
    assert reached.acquire(timeout=10)
    assert reached.acquire(timeout=10)
    assert not reached.acquire(timeout=0.05)
    ahead.close()  # type: ignore[attr-defined]
    assert len(threads) == 3
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert list(read_ahead(iter(range(3)))) == [0, 1, 2]


def test_error_of_what_is_read_ahead_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise UnreachableError("the source is away")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(UnreachableError):
        next(ahead)


def test_a_source_that_is_slow_to_answer_is_asked_less_often_but_not_left_alone_for_long() -> None:
    assert rest_s(0.5, 0.01) == 0.5
    assert rest_s(0.5, 0.3) == pytest.approx(1.2)
    assert rest_s(0.5, 3_600.0) == 0.5 + MORE_REST_S, "it was away, not slow"


class Failing(Pages):
    """A connector whose every reading fails, as long as told to."""

    def __init__(self, error: Callable[[], HubError], times: int) -> None:
        super().__init__(2, [])
        self.tries = 0
        self._error = error
        self._times = times

    def snapshot(self, position: Position | None) -> Iterator[Page]:
        """See ``Connector``."""
        self.tries += 1
        if self.tries <= self._times:
            raise self._error()
        yield from super().snapshot(position)


def test_limit_of_the_source_is_met_a_few_times_and_is_configuration_then() -> None:
    connector = Failing(lambda: LimitError(["statement_timeout is over"]), 1_000)
    with pytest.raises(LimitError, match="statement_timeout is over"):
        run([connector], MemoryPublisher(), RunOptions(once=True, policy=QUICK))
    assert connector.tries == LimitError.tries


def test_limit_of_the_source_that_is_lifted_in_time_ends_nothing() -> None:
    connector = Failing(lambda: LimitError(["statement_timeout is over"]), LimitError.tries - 1)
    assert run([connector], MemoryPublisher(), RunOptions(once=True, policy=QUICK))[0].published == 2


def test_once_waits_for_another_connector_as_long_as_its_patience_lasts() -> None:
    connector = Failing(lambda: AnotherConnectorError("another connector of x runs: pid 7"), 1_000)
    with pytest.raises(ConnectorRunsError, match="pid 7"):
        run([connector], MemoryPublisher(), RunOptions(once=True, patience_s=0.1, policy=QUICK))
    patient = Failing(lambda: AnotherConnectorError("another connector of x runs: pid 7"), 3)
    options = RunOptions(once=True, patience_s=60.0, policy=QUICK)
    assert run([patient], MemoryPublisher(), options)[0].published == 2
    assert patient.waits == ["another connector of x runs: pid 7", None]


def test_wait_is_said_at_once_then_at_widening_intervals_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time, kept = [0.0], []
    waits = Waits("s", lambda waits_for, since: kept.append(waits_for), lambda: time[0])
    for second in range(200):
        time[0] = float(second)
        waits.tell("away", lambda: f"the source is away, asked at {time[0]:.0f}")
    waits.over()
    waits.over()
    said = [first for first in (0, FIRST_AGAIN_S, 3 * FIRST_AGAIN_S, 7 * FIRST_AGAIN_S) if first < 200]
    assert kept == [*(f"the source is away, asked at {second:.0f}" for second in said), None]
    assert f"since {datetime.now(UTC).date()}" in caplog.messages[0]
    assert caplog.messages[-1] == "s goes on after 199 s"


def test_short_wait_is_not_said_and_another_thing_to_wait_for_is_said_at_once() -> None:
    time, kept = [0.0], []
    waits = Waits("s", lambda waits_for, since: kept.append(waits_for), lambda: time[0])
    waits.tell("transaction 7", lambda: "transaction 7", after_s=5.0)
    time[0] = 4.0
    waits.tell("transaction 7", lambda: "transaction 7", after_s=5.0)
    waits.over()
    assert kept == []
    waits.tell("away", lambda: "away")
    waits.tell("refused", lambda: "refused")
    assert kept == ["away", "refused"]
