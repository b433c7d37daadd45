"""The sample of docs/consume.md keeps a table in step: killed, started again, with duplicates and tombstones."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.codec.registry.api import registry_app
from hub.log.places import place_of
from hub.model.entities import CITIZEN
from hub.operate.actions import Action
from hub.operate.log.topics import create_topics, plan_topics
from hub.operate.share_republish import ask_again, plan_again
from hub.share.compose import Composer
from hub.share.share import Share
from hub.share.tail import json_value, newest, tail
from hub.topology import event_topic, record_topic, topics
from hub.warehouse.batch import Accepted
from tests.conftest import RunningEngine
from tests.support.merge_world import SUBJECT, Said, World
from tests.support.patience import HANG_S

SAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "consumer.py"
RECORDS = record_topic(CITIZEN)
SECRET = "a secret of the tests"  # noqa: S105 - of no system
LIMIT_S = HANG_S


@pytest.fixture(scope="module", autouse=True)
def _topics(engine: RunningEngine) -> None:
    create_topics(engine.bootstrap, plan_topics(engine.bootstrap, topics(2)).missing, replication=1)


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """Address of the hub's registry, served on a free port."""
    from aiohttp import web

    loop, address, up = asyncio.new_event_loop(), list[str](), threading.Event()

    runners: list[web.AppRunner] = []

    async def begin() -> None:
        runner = web.AppRunner(registry_app(load_catalogue()))
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        up.set()

    def run() -> None:
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(LIMIT_S)
    yield address[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(runners[0].cleanup())
    loop.close()


class Consumer:
    """The sample as a process of its own, on one file."""

    def __init__(self, bootstrap: str, registry: str, file: Path) -> None:
        self._command = [sys.executable, str(SAMPLE), bootstrap, registry, RECORDS, "pin", str(file)]
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, on what it has kept."""
        self._process = subprocess.Popen(self._command, env={"PATH": os.environ["PATH"]})

    def kill(self) -> None:
        """End it wherever it is."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition while it runs."""
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < deadline
            assert self._process is not None
            assert self._process.poll() is None
            time.sleep(0.1)

    def rows(self, keys: list[UUID]) -> dict[UUID, tuple[Any, ...]]:
        """Return code, revision, fields, published_at, hub_position by key."""
        table = sqlite3.connect(self._file)
        try:
            found = table.execute(
                "SELECT key, code, revision, fields, published_at, hub_position FROM record"
            ).fetchall()
        except sqlite3.OperationalError:
            return {}
        finally:
            table.close()
        return {UUID(bytes=key): (*more,) for key, *more in found if UUID(bytes=key) in keys}

    def edit(self, statement: str) -> None:
        """Change its file while it does not run."""
        table = sqlite3.connect(self._file)
        with table:
            table.execute(statement)
        table.close()


@pytest.fixture
def consumer(engine: RunningEngine, registry: str, tmp_path: Path) -> Iterator[Consumer]:
    made = Consumer(engine.bootstrap, registry, tmp_path / "records.db")
    yield made
    made.kill()


@pytest.fixture
def keys() -> list[UUID]:
    """Keys that no other test has: the topics are shared."""
    return sorted(uuid.uuid4() for _ in range(6))


def say(world: World, keys: list[UUID], version: int, **more: Any) -> None:
    rows = [Said(number, "population", version, **more).fields() for number, _ in enumerate(keys)]
    world.commit_frames(0, Accepted(SUBJECT, world.frame(SUBJECT, rows, keys, 0)))


def share_once(world: World, engine: RunningEngine) -> None:
    share = Share(world.engine, engine.bootstrap, SECRET)
    asyncio.run(asyncio.wait_for(share.run(once=True), LIMIT_S))


def in_warehouse(world: World, keys: list[UUID]) -> dict[UUID, tuple[Any, ...]]:
    """Return code, revision and fields of the records that the warehouse holds."""
    with world.engine.connect() as connection:
        composed = Composer(CITIZEN, SECRET).compose(connection, keys)
    records = {key: decode(value)[1] for key, value in composed.items() if value is not None}
    return {key: (fields["pin"], fields["revision"], _shape(fields)) for key, fields in records.items()}


def _shape(fields: dict[str, Any]) -> Any:
    return json.loads(json.dumps(json_value(fields)).replace('Z"', '+00:00"'))


def in_table(consumer: Consumer, keys: list[UUID]) -> dict[UUID, tuple[Any, ...]]:
    return {key: (row[0], row[1], json.loads(row[2])) for key, row in consumer.rows(keys).items()}


def test_sample_ends_equal_to_the_warehouse(
    world: World, engine: RunningEngine, consumer: Consumer, keys: list[UUID]
) -> None:
    consumer.start()
    say(world, keys, 1)
    share_once(world, engine)
    consumer.until(lambda: len(consumer.rows(keys)) == 6)
    assert in_table(consumer, keys) == in_warehouse(world, keys)
    assert all(row[3].endswith("Z") for row in consumer.rows(keys).values())
    assert all(place_of(row[4]).topic == event_topic(SUBJECT) for row in consumer.rows(keys).values())
    consumer.kill()
    say(world, keys[:3], 2, full_name="B")
    say(world, keys[2:4], 3, operation="REVOKE")
    share_once(world, engine)
    with world.engine.begin() as connection:  # a position that was lost: everything is sent again
        connection.execute(text("DELETE FROM share_position"))
    share_once(world, engine)
    consumer.start()
    consumer.until(lambda: in_table(consumer, keys) == in_warehouse(world, keys))
    assert set(consumer.rows(keys)) == {*keys[:2], *keys[4:]}
    ask_again(world.engine, plan_again(world.engine, engine.bootstrap, "citizen"), Action("H01-007", "test", "a test"))
    before = consumer.rows(keys)
    share_once(world, engine)
    consumer.until(lambda: all(row[3] > before[key][3] for key, row in consumer.rows(keys).items()))
    assert in_table(consumer, keys) == in_warehouse(world, keys)
    after = {key: row[4] for key, row in consumer.rows(keys).items()}
    assert after == {key: row[4] for key, row in before.items()}, "a repetition leaves the position that is known"
    say(world, keys[2:3], 4)
    share_once(world, engine)
    consumer.until(lambda: keys[2] in consumer.rows(keys))
    assert in_table(consumer, keys) == in_warehouse(world, keys)
    assert [one.key for one in newest(engine.bootstrap, RECORDS, 1)] == keys[2:3]
    everything = {(one.partition, one.offset) for one in tail(engine.bootstrap, RECORDS, unmask=False, until_end=True)}
    found = newest(engine.bootstrap, RECORDS, len(everything))
    assert {(one.partition, one.offset) for one in found} == everything


def test_sample_says_that_a_topic_is_not_there(engine: RunningEngine, registry: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(SAMPLE),
        engine.bootstrap,
        registry,
        "hub.citizens.record.v1",
        "pin",
        str(tmp_path / "a.db"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.kill()
    assert said == f"waits: {engine.bootstrap} has no topic 'hub.citizens.record.v1'; is its name right?\n"


def test_sample_says_in_one_line_that_the_registry_is_away(
    world: World, engine: RunningEngine, keys: list[UUID], tmp_path: Path
) -> None:
    say(world, keys, 1)
    share_once(world, engine)
    away = "http://127.0.0.1:1"
    command = [sys.executable, str(SAMPLE), engine.bootstrap, away, RECORDS, "pin", str(tmp_path / "a.db")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"the registry {away} gives no schema: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("how", ["read_at = 0", "next = next + 1000000"])
def test_sample_that_was_away_too_long_or_on_another_topic_begins_anew(
    world: World, engine: RunningEngine, consumer: Consumer, keys: list[UUID], how: str
) -> None:
    say(world, keys, 1)
    share_once(world, engine)
    consumer.start()
    consumer.until(lambda: len(consumer.rows(keys)) == 6)
    consumer.kill()
    consumer.edit(f"UPDATE position SET {how}")
    consumer.edit("INSERT OR REPLACE INTO record VALUES (x'00', 'a record whose tombstone is gone', 1, '{}', '', '')")
    stale = UUID(int=0)
    consumer.edit("UPDATE record SET key = zeroblob(16) WHERE key = x'00'")
    assert stale in consumer.rows([stale])
    consumer.start()
    consumer.until(lambda: stale not in consumer.rows([stale]) and len(consumer.rows(keys)) == 6)
    assert in_table(consumer, keys) == in_warehouse(world, keys)
