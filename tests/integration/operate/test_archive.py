"""Archive and topic as one log on the real broker: bounded by stored offsets, killed half way, deleted, read back."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from sqlalchemy import insert, text

from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled
from hub.log.places import Place
from hub.model.errors import LostRangeError
from hub.operate.actions import Action
from hub.operate.archive.files import Manifest, Rows, StretchWriter, read_manifests
from hub.operate.archive.plan import ArchiveStretch, plan_archive
from hub.operate.archive.run import DELETE, delete_archived, run_archive, verify_archive
from hub.operate.log.read_back import read_values
from hub.operate.replay.filters import Filters
from hub.operate.replay.reading.event_log import LogRange
from hub.operate.replay.reading.whole_log import joined, whole_log_reader
from hub.operate.replay.run import run_replay
from hub.warehouse.tables.core import log_partition
from hub.warehouse.tables.replays import replay, replay_position
from tests.conftest import RunningEngine
from tests.support.event_set import Outgoing
from tests.support.log_bytes import Said
from tests.support.merge_world import World
from tests.support.odd_log import OpenTransaction, send_batch
from tests.support.replay_world import by, open_replay_world, unwatched

COUNT = 25
NO_AGE = timedelta(0)


@pytest.fixture
def log(world: World, engine: RunningEngine, kafka_topic: str) -> int:
    """Number of a log partition whose topic holds ``COUNT`` records, of which all but five are durable."""
    producer = KafkaProducer(bootstrap_servers=engine.bootstrap)
    for number in range(COUNT):
        producer.send(kafka_topic, key=bytes([number]), value=b"v%d" % number, headers=[("n", b"%d" % number)])
    producer.flush()
    producer.close()
    row = {"topic": kafka_topic, "partition": 0, "first_offset": 0, "next_offset": COUNT - 5, "consumed": COUNT - 5}
    with world.engine.begin() as connection:
        connection.execute(text("DELETE FROM log_partition WHERE topic LIKE 'test.%'"))
        return int(connection.execute(insert(log_partition).values(**row).returning(log_partition.c.id)).scalar_one())


def planned(world: World, engine: RunningEngine, topic: str, folder: Path, age: timedelta = NO_AGE) -> ArchiveStretch:
    (stretch,) = plan_archive(world.engine, engine.bootstrap, folder, age, [topic])
    return stretch


def read(engine: RunningEngine, folder: Path | None, stretch: LogRange) -> list[tuple[int, int, bytes | None]]:
    async def all_of_it() -> list[tuple[int, int, bytes | None]]:
        found = []
        async for several in whole_log_reader(engine.bootstrap, folder)([stretch], 4):
            for polled in several:
                found += [(polled.expected, *one) for one in zip(polled.offsets, polled.values, strict=True)]
        return found

    return asyncio.run(all_of_it())


def test_archived_and_deleted_records_are_read_as_if_the_topic_held_them(
    world: World, engine: RunningEngine, kafka_topic: str, log: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = planned(world, engine, kafka_topic, tmp_path, timedelta(days=1))
    assert (young.first, young.end) == (0, 0)
    stretch = planned(world, engine, kafka_topic, tmp_path)
    assert (stretch.first, stretch.end, stretch.stored) == (0, COUNT - 5, COUNT - 5)
    whole = LogRange(log, kafka_topic, 0, 0, COUNT - 5)
    before = read(engine, None, whole)

    _kill_in_second_file(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run_archive(engine.bootstrap, tmp_path, [stretch], per_file=8)
    monkeypatch.undo()
    assert [(of.first, of.end) for of in read_manifests(tmp_path)] == [(0, 8)]
    again = planned(world, engine, kafka_topic, tmp_path)
    assert (again.first, again.end) == (8, COUNT - 5)
    done = run_archive(engine.bootstrap, tmp_path, [again], per_file=8)
    assert [(of.first, of.end, of.records) for of in done.written] == [(8, 16, 8), (16, 20, 4)]
    assert verify_archive(tmp_path)[1] == []
    nothing = planned(world, engine, kafka_topic, tmp_path)
    assert run_archive(engine.bootstrap, tmp_path, [nothing]).written == ()

    (deleted,) = delete_archived(world.engine, engine.bootstrap, tmp_path, [nothing], Action("x", DELETE, "a test"))
    assert (deleted.before, deleted.offsets) == (COUNT - 5, COUNT - 5)
    (noted,) = world.rows(f"SELECT detail FROM action WHERE action = '{DELETE}'")
    assert noted.detail == {"before": {f"{kafka_topic}/0": COUNT - 5}}
    after = planned(world, engine, kafka_topic, tmp_path)
    assert (after.log_begin, after.first, after.end, after.lost) == (COUNT - 5, COUNT - 5, COUNT - 5, 0)

    with pytest.raises(LostRangeError):
        read(engine, None, whole)
    got = read(engine, tmp_path, whole)
    assert [one[1:] for one in got] == [one[1:] for one in before]
    over_both = read(engine, tmp_path, LogRange(log, kafka_topic, 0, 3, COUNT))
    assert [offset for _, offset, _ in over_both] == list(range(3, COUNT))
    assert {expected for expected, offset, _ in over_both if offset >= COUNT - 5} == {COUNT - 5, COUNT - 1}

    places = [Place(kafka_topic, 0, offset) for offset in (2, COUNT - 1)]
    assert read_values(engine.bootstrap, places).gone == {places[0]}
    found = read_values(engine.bootstrap, places, tmp_path)
    assert (found.values[places[0]], found.values[places[1]], found.gone) == (b"v2", b"v24", frozenset())
    assert set(found.appended) == set(places)


def _kill_in_second_file(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = StretchWriter.finish
    finished: list[int] = []

    def dying(self: StretchWriter, end: int) -> Manifest:
        if finished:
            raise KeyboardInterrupt
        finished.append(end)
        return finish(self, end)

    monkeypatch.setattr(StretchWriter, "finish", dying)


def test_an_open_replay_keeps_what_it_still_reads(
    world: World, engine: RunningEngine, kafka_topic: str, log: int, tmp_path: Path
) -> None:
    plan: dict[str, Any] = {"id": 77, "made_by": "x", "why": "y", "document": {}, "publish": False, "state": "RUNNING"}
    plan |= {"policy_digest": "p", "revision": "r", "shadow": "s"}
    at = {"replay": 77, "log": log, "first_offset": 0, "end_offset": 20, "copied_offset": 20, "next_offset": 6}
    with world.engine.begin() as connection:
        connection.execute(insert(replay).values(**plan))
        connection.execute(insert(replay_position).values(**at))
    run_archive(engine.bootstrap, tmp_path, [planned(world, engine, kafka_topic, tmp_path)])
    stretch = planned(world, engine, kafka_topic, tmp_path)
    assert stretch.held_by == 6
    (deleted,) = delete_archived(world.engine, engine.bootstrap, tmp_path, [stretch], Action("x", DELETE, "a test"))
    assert deleted.before == 6
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE replay SET state = 'SWITCHED'"))
    assert planned(world, engine, kafka_topic, tmp_path).held_by is None


def test_whole_rebuild_over_archive_and_topic_equals_the_live_warehouse(
    engine: RunningEngine, decoder: GuardedDecoder, tmp_path: Path
) -> None:
    name = f"archived_{uuid.uuid4().hex[:12]}"
    world = open_replay_world(engine.create_database(name), decoder)
    try:
        world.fill(12)
        begins = {place: len(records) * 2 // 3 for place, records in world.log.items()}
        for (topic, partition), begin in begins.items():
            records = world.log[topic, partition][:begin]
            if records:
                _write(tmp_path, topic, partition, [(one.key, one.value) for one in records])
        from_topic: list[LogRange] = []

        async def topics(ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
            from_topic.extend(ranges)
            async for polled in world.read(ranges, most):
                yield polled

        ground = replace(world.ground, read=joined(tmp_path, topics, lambda ranges: begins))
        planned = world.plan(Filters())
        ran = run_replay(ground, planned.id, by("replay.run"), unwatched)
        assert ran.read == sum(len(records) for records in world.log.values())
        assert all(one.first >= begins.get((one.topic, one.partition), 0) for one in from_topic)
        assert world.reads < ran.read / 2
        assert world.differences(f"replay_{planned.id}") == []
    finally:
        world.engine.dispose()
        engine.engine.drop_database(name)


def _write(folder: Path, topic: str, partition: int, records: list[tuple[bytes | None, bytes | None]]) -> None:
    count = len(records)
    rows = Rows(range(count), [0] * count, [key for key, _ in records], [value for _, value in records], [()] * count)
    with StretchWriter(folder, topic, partition, 0) as writer:
        writer.add(rows)
        writer.finish(count)


def test_record_that_the_bytes_do_not_make_is_one_from_the_topic_and_from_the_archive(
    world: World, engine: RunningEngine, kafka_topic: str, log: int, tmp_path: Path
) -> None:
    odd = Said(b"k", b"v", [(b"\xe9", b"x")])
    first = send_batch(engine.bootstrap, kafka_topic, 0, [Said(), odd, Said()])
    assert first == COUNT
    with world.engine.begin() as connection:
        connection.execute(text(f"UPDATE log_partition SET next_offset = {COUNT + 3} WHERE id = {log}"))
    stretch = planned(world, engine, kafka_topic, tmp_path)
    run_archive(engine.bootstrap, tmp_path, [stretch])
    assert verify_archive(tmp_path)[1] == []
    whole = LogRange(log, kafka_topic, 0, 0, COUNT + 3)
    why = {COUNT + 1: "the name of header 1 is not UTF-8"}

    def unreadable(folder: Path | None) -> dict[int, str]:
        async def all_of_it() -> dict[int, str]:
            found: dict[int, str] = {}
            async for several in whole_log_reader(engine.bootstrap, folder)([whole], 10):
                for polled in several:
                    found |= polled.unreadable
            return found

        return asyncio.run(all_of_it())

    assert unreadable(None) == why
    nothing = planned(world, engine, kafka_topic, tmp_path)
    delete_archived(world.engine, engine.bootstrap, tmp_path, [nothing], Action("x", DELETE, "a test"))
    assert unreadable(tmp_path) == why


def test_places_of_markers_are_passed_over_to_the_end_of_a_range(
    world: World, engine: RunningEngine, kafka_topic: str, log: int, tmp_path: Path
) -> None:
    transaction = OpenTransaction(engine.bootstrap, kafka_topic)
    try:
        transaction.send([Outgoing(kafka_topic, b"k", b"aborted")], 0)
        transaction.end(commit=False)
    finally:
        transaction.close()
    with world.engine.begin() as connection:
        connection.execute(text(f"UPDATE log_partition SET next_offset = {COUNT + 2} WHERE id = {log}"))
    whole = LogRange(log, kafka_topic, 0, 0, COUNT + 2)

    def ends(folder: Path | None) -> tuple[int, int]:
        async def all_of_it() -> tuple[int, int]:
            records = end = 0
            async for several in whole_log_reader(engine.bootstrap, folder)([whole], 10):
                for polled in several:
                    records, end = records + len(polled.offsets), polled.next_offset
            return records, end

        return asyncio.run(all_of_it())

    assert ends(None) == (COUNT, COUNT + 2)
    run_archive(engine.bootstrap, tmp_path, [planned(world, engine, kafka_topic, tmp_path)])
    nothing = planned(world, engine, kafka_topic, tmp_path)
    assert (nothing.first, nothing.end) == (COUNT + 2, COUNT + 2)
    delete_archived(world.engine, engine.bootstrap, tmp_path, [nothing], Action("x", DELETE, "a test"))
    assert ends(tmp_path) == (COUNT, COUNT + 2)
