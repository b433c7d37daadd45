"""The flow of batches: prepared ahead, committed by each lane in its order, ended by the first error."""

import asyncio
import threading

import pytest

from hub.intake.flow import Flow, Lane, Prepared
from hub.warehouse.batch import Advance, Batch


def _batch(number: int) -> Prepared:
    return Prepared(number, Batch((Advance(1, "a", 0, number, number + 1, 1),), ()))


async def test_run_returns_when_all_that_was_read_is_committed_in_its_lanes_order() -> None:
    lanes = [Lane(0), Lane(1)]
    committed: list[tuple[int, int, str]] = []

    def store(lane: Lane, prepared: Prepared) -> None:
        committed.append((lane.number, prepared.generation, threading.current_thread().name))

    async def commit(lane: Lane, prepared: Prepared) -> None:
        await lane.in_thread(store, lane, prepared)

    flow = Flow(lanes, Lane.next, commit)

    async def read() -> None:
        for number in range(6):
            await lanes[number % 2].queue.put(await flow.in_decode_thread(_batch, number))

    async def beside() -> None:
        await asyncio.Event().wait()

    await flow.run(read(), [beside()])
    flow.close()
    assert [(number, one) for number, one, _ in committed if number == 0] == [(0, 0), (0, 2), (0, 4)]
    assert [(number, one) for number, one, _ in committed if number == 1] == [(1, 1), (1, 3), (1, 5)]
    assert {name.rsplit("_", 1)[0] for _, _, name in committed} == {"commit-0", "commit-1"}


async def test_error_of_a_commit_ends_the_reading_and_is_raised() -> None:
    lane = Lane(0)
    ended: list[str] = []

    async def commit(lane: Lane, prepared: Prepared) -> None:
        raise KeyError(prepared.generation)

    async def read() -> None:
        try:
            for number in range(100):
                await lane.queue.put(_batch(number))
        except asyncio.CancelledError:
            ended.append("reading")
            raise

    flow = Flow([lane], Lane.next, commit)
    with pytest.raises(KeyError, match="0"):
        await flow.run(read())
    flow.close()
    assert ended == ["reading"]


async def test_error_of_the_reading_is_raised_and_nothing_more_is_committed() -> None:
    lane = Lane(0)
    committed: list[int] = []

    async def commit(lane: Lane, prepared: Prepared) -> None:
        committed.append(prepared.generation)

    async def read() -> None:
        raise ConnectionError

    flow = Flow([lane], Lane.next, commit)
    with pytest.raises(ConnectionError):
        await flow.run(read())
    flow.close()
    assert committed == []
