"""Chores let the stream go first, but not for longer than they may; the clock is one that only sleep moves."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine

from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.model.errors import RetryableError
from hub.operate.evidence_keeper import EvidenceGate
from hub.streams.chores import Chore, run_chores
from hub.streams.evidence import evidence_chores

_LONGEST_S = 1000.0


class Ended(Exception):
    """The chore has run often enough, or time has passed for too long."""


@dataclass(slots=True)
class Clock:
    """Time that passes while somebody sleeps, and when a chore ran."""

    now: float = 0.0
    ran_at: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass, but not for ever."""
        self.now += seconds
        if self.now > _LONGEST_S:
            raise Ended

    def runs(self, count: int, error: RetryableError | None = None) -> Callable[[], None]:
        """Return what a chore does so many times."""

        def do() -> None:
            self.ran_at.append(self.now)
            if len(self.ran_at) == count:
                raise Ended
            if error is not None:
                raise error

        return do


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    loop = SimpleNamespace(sleep=made.sleep, TaskGroup=asyncio.TaskGroup, get_running_loop=asyncio.get_running_loop)
    monkeypatch.setattr("hub.streams.chores.asyncio", loop)
    monkeypatch.setattr("hub.streams.chores.time", made)
    return made


async def run(chore: Chore, is_pressed: Callable[[], bool]) -> None:
    """Run a chore until it ends."""
    with pytest.raises(ExceptionGroup) as ended:
        await run_chores([chore], is_pressed)
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
