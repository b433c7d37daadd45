"""Lanes: which partition takes which, room, stillness; and how the bound of a batch follows the time batches take."""

import asyncio

from aiokafka import TopicPartition

from hub.intake.batch_size import LEAST_ROWS, BatchSize
from hub.intake.lanes import SHARED_BELOW, Lanes, Prepared
from hub.warehouse.batch import Batch

BATCH = Batch((), ())


def _partitions(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]


def test_lanes_share_out_a_topic_s_partitions_and_keep_them() -> None:
    lanes = Lanes(2, 1000, 1.0)
    partitions = _partitions("hub.citizen.changed.v1", 4)
    assert [lanes.of(partition).number for partition in partitions] == [0, 1, 0, 1]
    assert lanes.partitions_of([lanes.all[1]], partitions) == [partitions[1], partitions[3]]


def test_split_parts_records_by_lane_and_loses_none() -> None:
    lanes = Lanes(3, 1000, 1.0)
    records = {partition: [partition.partition] for partition in _partitions("a", 5)}
    lanes.put(lanes.all[2], Prepared(1, BATCH))
    parts = lanes.split(records)
    assert sorted(lane.number for lane, _, _ in parts) == [0, 1, 2]
    assert {place: of for _, part, _ in parts for place, of in part.items()} == records
    assert all(lanes.of(place) is lane for lane, part, _ in parts for place in part)
    assert not any(is_shared for _, _, is_shared in parts)


async def test_little_is_shared_and_holds_every_lane_until_it_is_committed() -> None:
    lanes = Lanes(2, 1000, 1.0)
    little = {partition: [partition.partition] for partition in _partitions("a", 4)}
    assert lanes.split(little) == [(lanes.first, little, True)]
    lanes.put(lanes.first, Prepared(1, BATCH, is_shared=True))
    assert lanes.with_room() == []
    async with lanes.next_of(lanes.first):
        assert all(lane.busy.locked() for lane in lanes.all)
        assert lanes.with_room() == list(lanes.all)
    assert not any(lane.busy.locked() for lane in lanes.all)


async def test_much_after_little_goes_out_before_the_lanes_part_the_work_again() -> None:
    lanes = Lanes(2, 1000, 1.0)
    little = {partition: [partition.partition] for partition in _partitions("a", 4)}
    much = {partition: [0] * SHARED_BELOW for partition in _partitions("a", 4)}
    lanes.split(little)
    lanes.put(lanes.first, Prepared(1, BATCH, is_shared=True))
    async with lanes.next_of(lanes.first):
        ((lane, _, is_shared),) = lanes.split(much)
        assert (lane, is_shared) == (lanes.first, True)
        lanes.put(lane, Prepared(1, BATCH, is_shared))
    assert lanes.with_room() == []
    async with lanes.next_of(lanes.first):
        assert lanes.with_room() == []
    assert lanes.with_room() == list(lanes.all)
    assert [is_shared for _, _, is_shared in lanes.split(much)] == [False, False]


async def test_wait_for_room_ends_when_a_batch_is_taken() -> None:
    lanes = Lanes(1, 1000, 1.0)
    lane = lanes.first
    lane.queue.put_nowait(Prepared(1, BATCH))
    assert not lanes.with_room()
    assert not await lanes.wait_for_room(0.01)
    waiting = asyncio.create_task(lanes.wait_for_room(30.0))
    await asyncio.sleep(0)
    async with lanes.next_of(lane) as prepared:
        assert prepared.generation == 1
    assert await waiting
    assert lanes.with_room() == [lane]


async def test_quiet_waits_for_every_lane() -> None:
    lanes = Lanes(2, 1000, 1.0)
    await lanes.all[1].busy.acquire()
    seen: list[str] = []

    async def place() -> None:
        async with lanes.quiet():
            seen.append("quiet")

    placing = asyncio.create_task(place())
    await asyncio.sleep(0.01)
    assert not seen
    lanes.all[1].busy.release()
    await placing
    assert seen == ["quiet"]


def test_batch_grows_while_full_and_quick_up_to_the_most() -> None:
    size = BatchSize(10_000, 1.0)
    begun = size.rows
    size.took(begun, 0.1)
    assert size.rows == 2 * begun
    for _ in range(10):
        size.took(size.rows, 0.1)
    assert size.rows == 10_000


def test_batch_stays_while_batches_are_not_full() -> None:
    size = BatchSize(10_000, 1.0)
    begun = size.rows
    size.took(3, 0.01)
    assert size.rows == begun


def test_batch_shrinks_when_one_takes_long_but_never_under_the_least() -> None:
    size = BatchSize(10_000, 1.0)
    begun = size.rows
    size.took(begun, 1.5)
    assert begun / 2 <= size.rows < begun
    for _ in range(20):
        size.took(size.rows, 30.0)
    assert size.rows == LEAST_ROWS
    assert BatchSize(10, 1.0).rows == 10


def test_batch_grows_slower_near_the_target() -> None:
    size = BatchSize(100_000, 1.0)
    begun = size.rows
    size.took(begun, 0.9)
    assert size.rows == begun + begun // 4
