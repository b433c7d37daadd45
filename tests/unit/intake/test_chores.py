"""Chores let the stream go first, but not for longer than they may; the clock is one that only sleep moves."""

import asyncio
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine

from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.intake.chore_runs import Failure
from hub.model.errors import ConfigError, RetryableError
from hub.operate.evidence.keeper import EvidenceGate
from hub.worker.chores import Chore, run_chores
from hub.worker.evidence import evidence_chores

_LONGEST_S = 2000.0


class Ended(BaseException):
    """The chore has run often enough, or time has passed for too long; no bug of a chore."""


@dataclass(slots=True)
class Clock:
    """Time that passes while somebody sleeps, and when a chore ran."""

    now: float = 0.0
    longest_s: float = _LONGEST_S
    ran_at: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass, but not for ever."""
        self.now += seconds
        if self.now > self.longest_s:
            raise Ended

    def runs(self, count: int, *errors: BaseException | None) -> Callable[[], None]:
        """Return what a chore does so many times; ``errors``: of each run, the last one of all later ones."""

        def do() -> None:
            self.ran_at.append(self.now)
            if len(self.ran_at) == count:
                raise Ended
            if errors and (error := errors[min(len(self.ran_at), len(errors)) - 1]) is not None:
                raise error

        return do


@dataclass(slots=True)
class Told:
    """What is durable about chores, as a worker tells it."""

    failing: dict[str, list[Failure]] = field(default_factory=dict)
    works_again: list[str] = field(default_factory=list)
    error: Exception | None = None

    def fails(self, chore: str, failure: Failure) -> None:
        """Keep it, or fail as told to."""
        self.failing.setdefault(chore, []).append(failure)
        if self.error is not None:
            raise self.error

    def works(self, chore: str) -> None:
        """Keep it."""
        self.works_again.append(chore)


class InjectedError(Exception):
    """A bug; what it says holds a name, as real ones may."""


class PanicException(BaseException):
    """A panic of a library, as Rust code raises it: no Exception."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    loop = SimpleNamespace(sleep=made.sleep, TaskGroup=asyncio.TaskGroup, gather=asyncio.gather)
    monkeypatch.setattr("hub.worker.chores.asyncio", loop)
    monkeypatch.setattr("hub.worker.chores.time", made)
    monkeypatch.setattr("hub.intake.chore_runs.time", made)
    return made


async def run(chore: Chore, is_pressed: Callable[[], bool] = lambda: False, told: Told | None = None) -> None:
    """Run a chore until it ends."""
    with pytest.raises(BaseExceptionGroup) as ended:
        await run_chores([chore], is_pressed, told or Told())
    assert ended.group_contains(Ended)


async def test_chore_waits_while_the_stream_has_very_much_to_do_and_then_runs_all_the_same(clock: Clock) -> None:
    await run(Chore("seal", 5, clock.runs(2), yields_s=20), lambda: True)
    assert clock.ran_at == [25, 50]


async def test_chore_goes_on_as_soon_as_the_stream_lets_it(clock: Clock) -> None:
    await run(Chore("seal", 5, clock.runs(1), yields_s=20), lambda: clock.now < 8)
    assert clock.ran_at == [8]


@pytest.mark.parametrize(("yields_s", "is_pressed"), [(0, True), (20, False)])
async def test_chore_that_may_not_wait_or_need_not_does_not(clock: Clock, yields_s: float, is_pressed: bool) -> None:
    await run(Chore("seal", 5, clock.runs(3), yields_s), lambda: is_pressed)
    assert clock.ran_at == [5, 10, 15]


async def test_environment_that_is_away_is_waited_for_and_told_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await run(Chore("seal", 5, clock.runs(3, RetryableError("PostgreSQL went away"))), lambda: False)
    assert clock.ran_at == [5, 10, 15]
    assert caplog.messages == ["seal waits, and is tried again every 5 s: PostgreSQL went away"]


@pytest.mark.parametrize("error", [InjectedError("of Nguyễn Thị Lẻ"), ConfigError(["no such role"]), PanicException()])
async def test_bug_of_a_chore_is_told_and_tried_again_later_each_time_and_then_told_to_be_over(
    clock: Clock, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    await run(Chore("seal", 2, clock.runs(12, *[error] * 9, None)), told=told)
    waits = [later - earlier for earlier, later in pairwise(clock.ran_at)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 2, 2]
    failures = told.failing["seal"]
    assert [failure.tries for failure in failures] == list(range(1, 10))
    assert [failure.next_s for failure in failures] == waits[:9]
    assert {failure.since for failure in failures} == {failures[0].since}
    assert any("tests/unit/intake/test_chores.py" in place for place in failures[0].bug.places)
    assert told.works_again == ["seal"]
    assert caplog.text.count("a bug of the hub: the chore 'seal' fails") == 9
    assert "works again" in caplog.messages[-1]
    assert "Nguyễn" not in caplog.text + str(failures)


async def test_bug_that_cannot_be_told_to_the_warehouse_is_in_the_log_and_ends_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(error=ValueError("of Nguyễn Thị Lẻ"))
    await run(Chore("seal", 2, clock.runs(3, InjectedError())), told=told)
    assert len(clock.ran_at) == 3
    assert "InjectedError" in caplog.text
    assert "Nguyễn" not in caplog.text


async def test_bug_of_one_chore_ends_no_other(clock: Clock) -> None:
    clock.longest_s = math.inf  # which of two threads runs first is the machine's choice; both must have run
    sealed: list[float] = []

    def seal() -> None:
        sealed.append(clock.now)
        if len(sealed) >= 10 and len(clock.ran_at) > 3:
            raise Ended

    chores = [Chore("breaks", 1, clock.runs(10**9, InjectedError())), Chore("seal", 50, seal)]
    with pytest.raises(BaseExceptionGroup):
        await run_chores(chores, lambda: False, Told())


async def test_end_waits_neither_in_the_loop_nor_for_ever_for_a_chore_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hub.worker.chores.END_S", 0.2)
    caplog.set_level("INFO")
    hangs, is_in = threading.Event(), threading.Event()

    def hang() -> None:
        is_in.set()
        hangs.wait()

    running = asyncio.create_task(run_chores([Chore("hangs", 0.01, hang), Chore("works", 0.01, is_in.wait)]))
    await asyncio.to_thread(is_in.wait)
    running.cancel()
    turns = 0
    while not running.done():
        await asyncio.sleep(0.01)
        turns += 1
    left = [thread for thread in threading.enumerate() if thread.name == "chore hangs"]
    assert turns > 1
    assert [thread.daemon for thread in left] == [True]
    assert caplog.messages == ["the chore 'hangs' is left: its call did not end within 0 s"]
    hangs.set()
    left[0].join(10)
    assert not left[0].is_alive()


@pytest.mark.parametrize(
    ("every_s", "limit_s", "yields_s"),
    [(60, 300, 60), (60, 120, 30), (60, 61, 0.5), (1, 10, 1)],
)
def test_evidence_never_lets_the_stream_go_first_until_its_own_limit_closes_the_gate(
    every_s: float, limit_s: float, yields_s: float, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, evidence_every_s=every_s, evidence_limit_s=limit_s)
    nowhere = create_engine("postgresql+psycopg://")
    seal, _ = evidence_chores(settings, Endpoints("127.0.0.1:1", "", ""), (nowhere, nowhere), EvidenceGate())
    assert seal.yields_s == yields_s
    assert every_s + seal.yields_s < limit_s
