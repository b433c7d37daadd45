"""Lanes: which partition takes which, room, stillness; and how the bound of a batch follows the time batches take."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from hub.intake.batch_size import LEAST_ROWS, BatchSize
from hub.intake.broker.polling import BESIDE_EXPRESS, BUSY_POLL_MS, FRESH_MS, Polling
from hub.intake.flow import Prepared
from hub.intake.lanes import ALONE_BELOW, FAR_BEHIND, Lanes
from hub.warehouse.batch import Advance, Batch
from hub.warehouse.offsets import Position

BATCH = Batch((Advance(1, "a", 0, 0, ALONE_BELOW, ALONE_BELOW),), ())
SMALL = Batch((Advance(1, "a", 0, 0, ALONE_BELOW - 1, ALONE_BELOW - 1),), ())


def _partitions(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]


def test_what_is_up_to_date_takes_the_express_and_what_is_far_behind_a_bulk_lane() -> None:
    lanes = Lanes(2, 1000, 1.0)
    people, homes = _partitions("a", 4), _partitions("b", 2)
    for partition in people:
        lanes.see(partition, FAR_BEHIND + 1)
    for partition in homes:
        lanes.see(partition, FAR_BEHIND)
    assert lanes.open_to([*homes, *people]) == {
        lanes.bulk[0]: [people[0], people[2]],
        lanes.bulk[1]: [people[1], people[3]],
        lanes.express: homes,
    }


def test_a_partition_has_caught_up_with_a_quarter_of_what_is_far_behind() -> None:
    lanes = Lanes(1, 1000, 1.0)
    (partition,) = _partitions("a", 1)
    assert not lanes.is_pressed()
    for records, is_bulk in ((FAR_BEHIND, 0), (FAR_BEHIND + 1, 1), (FAR_BEHIND // 4 + 1, 1), (FAR_BEHIND // 4, 0)):
        lanes.see(partition, records)
        assert lanes.of(partition) is lanes.all[is_bulk], records
    assert lanes.is_pressed()


async def test_a_partition_changes_lanes_only_when_nothing_of_it_is_under_way() -> None:
    lanes = Lanes(1, 1000, 1.0)
    moving, staying = _partitions("a", 2)
    lanes.put(lanes.express, Prepared(1, BATCH, (moving, staying)))
    async with lanes.next_of(lanes.express):
        lanes.put(lanes.express, Prepared(1, BATCH, (moving,)))
        lanes.see(moving, FAR_BEHIND + 1)
        assert lanes.open_to([moving]) == {}
    assert lanes.open_to([moving]) == {}, "a second batch waits"
    async with lanes.next_of(lanes.express):
        assert lanes.open_to([moving, staying]) == {lanes.express: [staying]}
    assert lanes.open_to([moving, staying]) == {lanes.express: [staying], lanes.bulk[0]: [moving]}


async def test_a_batch_that_fails_lets_its_partitions_go() -> None:
    lanes = Lanes(1, 1000, 1.0)
    (partition,) = _partitions("a", 1)
    lanes.put(lanes.express, Prepared(1, BATCH, (partition,)))
    with pytest.raises(RuntimeError):
        async with lanes.next_of(lanes.express):
            raise RuntimeError
    lanes.see(partition, FAR_BEHIND + 1)
    assert lanes.open_to([partition]) == {lanes.bulk[0]: [partition]}


async def test_a_full_bulk_lane_leaves_the_express_open() -> None:
    lanes = Lanes(1, 1000, 1.0)
    behind, current = _partitions("a", 2)
    lanes.see(behind, FAR_BEHIND + 1)
    lanes.put(lanes.bulk[0], Prepared(1, BATCH, (behind,)))
    assert lanes.open_to([behind, current]) == {lanes.express: [current]}


async def test_wait_for_room_ends_when_a_batch_is_taken() -> None:
    lanes = Lanes(1, 1000, 1.0)
    partitions = _partitions("a", 1)
    lanes.put(lanes.express, Prepared(1, BATCH))
    assert not await lanes.wait_for_room(partitions, 0.01)
    waiting = asyncio.create_task(lanes.wait_for_room(partitions, 30.0))
    await asyncio.sleep(0)
    async with lanes.next_of(lanes.express) as prepared:
        assert prepared.generation == 1
        assert await waiting
    assert not await lanes.wait_for_room([], 0.01), "nothing to wait for"


async def test_a_small_batch_goes_alone_unless_it_is_full() -> None:
    partitions = _partitions("a", 1)
    for rows, has_room in ((ALONE_BELOW, False), (ALONE_BELOW - 1, True)):
        lanes = Lanes(1, 10 * ALONE_BELOW, 1.0)
        lanes.express.size.rows = rows
        lanes.put(lanes.express, Prepared(1, SMALL))
        waiting = asyncio.create_task(lanes.wait_for_room(partitions, 30.0))
        async with lanes.next_of(lanes.express):
            await asyncio.sleep(0.01)
            assert waiting.done() is has_room
        assert await waiting


async def test_wait_for_room_ends_when_a_partition_may_change_lanes() -> None:
    lanes = Lanes(1, 1000, 1.0)
    (partition,) = _partitions("a", 1)
    lanes.put(lanes.express, Prepared(1, BATCH, (partition,)))
    lanes.see(partition, FAR_BEHIND + 1)
    waiting = asyncio.create_task(lanes.wait_for_room([partition], 30.0))
    async with lanes.next_of(lanes.express):
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting


class _Broker:
    """A consumer that has records of each partition, those of one fetch at a time, and notes what it was asked for."""

    def __init__(self, **fetches: list[int]) -> None:
        self.fetches = fetches
        self.asked: list[tuple[str, int, int]] = []

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, Any]:
        self.asked += [(place.topic, timeout_ms, max_records) for place in partitions]
        fetched = {place: self.fetches[place.topic].pop(0) for place in partitions if self.fetches[place.topic]}
        return {place: [0] * records for place, records in fetched.items()}


async def test_express_is_polled_first_and_nothing_waits_for_it() -> None:
    lanes = Lanes(2, 1000, 1.0)
    behind, current = TopicPartition("behind", 1), TopicPartition("current", 0)
    most = lanes.express.size.rows
    broker = _Broker(behind=[3], current=[2, 1, 2, 0, most])
    polling = Polling(lanes, 200)
    assert await polling.poll(broker, [current]) == [(lanes.express, {current: [0, 0, 0]})]
    lanes.see(behind, FAR_BEHIND + 1)
    assert await polling.poll(broker, [behind, current]) == [
        (lanes.express, {current: [0, 0]}),
        (lanes.bulk[1], {behind: [0, 0, 0]}),
    ]
    lanes.put(lanes.bulk[1], Prepared(1, BATCH, (behind,)))
    assert await polling.poll(broker, [behind, current]) == [(lanes.express, {current: [0] * most})]
    assert broker.asked == [
        ("current", 200, most),
        ("current", FRESH_MS, most - 2),
        ("current", 0, most),
        ("current", FRESH_MS, most - 2),
        ("behind", 0, most),
        ("current", BUSY_POLL_MS, most),
    ]


async def test_what_is_far_behind_is_read_in_small_parts_while_others_come_in() -> None:
    lanes = Lanes(1, 10 * BESIDE_EXPRESS, 1.0)
    behind, current = TopicPartition("behind", 1), TopicPartition("current", 0)
    lanes.see(behind, FAR_BEHIND + 1)
    broker = _Broker(behind=[3, 3], current=[])
    polling = Polling(lanes, 200)
    await polling.poll(broker, [behind, current])
    broker.fetches["current"] = [1]
    await polling.poll(broker, [behind, current])
    assert [most for topic, _, most in broker.asked if topic == "behind"] == [lanes.express.size.rows, BESIDE_EXPRESS]


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


class _Reader(_Broker):
    """A consumer that read some partitions further than the records it gave."""

    def __init__(self, reached: dict[str, int], **fetches: list[int]) -> None:
        super().__init__(**fetches)
        self._reached = reached

    def reached(self, partition: TopicPartition) -> int:
        """Return the place after what was read."""
        return self._reached[partition.topic]


async def test_a_partition_that_is_read_further_without_a_record_is_told_once_and_beside_the_others() -> None:
    lanes = Lanes(1, 1000, 1.0)
    one = {name: TopicPartition(name, 0) for name in ("given", "moved", "still", "unknown", "far", "behind")}
    for name in ("far", "behind"):
        lanes.see(one[name], FAR_BEHIND + 1)
    places = {one[name]: Position(1, name, 0, 0, 5) for name in one if name != "unknown"}
    reached = {"given": 7, "moved": 6, "still": 5, "unknown": 9, "far": 70, "behind": 5}
    reader = _Reader(reached, given=[2], moved=[], still=[], unknown=[], far=[], behind=[])
    assert await Polling(lanes, 200).poll(reader, one.values(), places) == [
        (lanes.express, {one["given"]: [0, 0], one["moved"]: ()}),
        (lanes.bulk[0], {one["far"]: ()}),
    ]
