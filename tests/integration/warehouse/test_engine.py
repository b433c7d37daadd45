"""The embedded engine, really started: ports, data and processes over stops, kills and second starts."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from hub.config import Settings
from hub.embedded.accounts import account_for, own_folder
from hub.embedded.engine import Engine
from hub.embedded.locate import Endpoints, endpoints
from hub.embedded.state import PartState, ProcessRef, load_state, save_state
from hub.model.errors import UnreachableError
from tests.conftest import RunningEngine
from tests.e2e.hub_process import wait_until
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

_TOPIC = "engine.test"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that the tests of this module may stop and kill, with a row and a record in it."""
    data_dir = tmp_path_factory.mktemp("own")
    # What a start that was killed half way leaves behind.
    (data_dir / "postgres" / "cluster.partial" / "base").mkdir(parents=True)
    (data_dir / "kafka" / "log.partial").mkdir(parents=True)
    made = Engine(Settings(data_dir=data_dir))
    try:
        _write_data(made.up())
        yield made
    finally:
        made.down()


def _connect(located: Endpoints) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(located.database_url.replace("+psycopg", ""), connect_timeout=5)


def _write_data(located: Endpoints) -> None:
    with _connect(located) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("INSERT INTO kept VALUES (7)")
    client = KafkaAdminClient(bootstrap_servers=located.bootstrap)
    client.create_topics([NewTopic(_TOPIC, num_partitions=1, replication_factor=1)])
    client.close()
    producer = KafkaProducer(bootstrap_servers=located.bootstrap, acks="all")
    producer.send(_TOPIC, b"kept").get(timeout=20)
    producer.close()


def _assert_data_is_there(located: Endpoints) -> None:
    with _connect(located) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
    consumer = KafkaConsumer(
        _TOPIC, bootstrap_servers=located.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    assert next(consumer).value == b"kept"
    consumer.close()


def _pids(engine: Engine) -> list[int]:
    pids = [part.pid for part in engine.status().parts]
    return [pid for pid in pids if pid is not None]


def test_fixtures_give_a_database_and_a_topic_of_their_own(
    engine: RunningEngine, database_url: str, kafka_topic: str, settings: Settings
) -> None:
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    consumer = KafkaConsumer(bootstrap_servers=engine.bootstrap)
    assert consumer.partitions_for_topic(kafka_topic) == {0}
    consumer.close()
    assert endpoints(settings).database_url == database_url


def test_up_finds_the_running_engine_when_called_again(own: Engine) -> None:
    before = _pids(own)
    own.up()
    assert _pids(own) == before
    assert len(before) == 2


def test_up_starts_one_engine_when_two_callers_race(own: Engine) -> None:
    own.down()
    threads = [threading.Thread(target=own.up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    properties = str(own.data_dir / "kafka" / "server.properties")
    brokers = [process for process in psutil.process_iter(["cmdline"]) if properties in (process.info["cmdline"] or ())]
    assert len(brokers) == 1
    _assert_data_is_there(own.up())


def test_endpoints_stay_when_postgres_restarts(own: Engine) -> None:
    before = own.up()
    own.stop_postgres(immediate=True)
    with pytest.raises(psycopg.OperationalError):
        _connect(before)
    own.start_postgres()
    own.stop_postgres()
    own.start_postgres()
    assert own.up() == before
    _assert_data_is_there(before)


def test_endpoints_stay_when_kafka_is_killed_and_started(own: Engine) -> None:
    before = own.up()
    own.stop_kafka(kill=True)
    assert [part.name for part in own.status().parts if part.is_running] == ["postgres"]
    own.start_kafka()
    assert own.up() == before
    _assert_data_is_there(before)


def test_up_recovers_the_data_when_both_servers_were_killed(own: Engine) -> None:
    before = own.up()
    killed = [psutil.Process(pid) for pid in _pids(own)]
    for process in killed:
        process.kill()
    # A zombie counts as gone: it is this test's own child, and the engine reaps it when it looks.
    wait_until(lambda: not any(part.is_running for part in own.status().parts), lambda: str(own.status()))
    assert not own.status().is_healthy
    with pytest.raises(UnreachableError):
        endpoints(Settings(data_dir=own.data_dir))
    assert own.up() == before
    _assert_data_is_there(before)


def test_up_recovers_when_the_state_file_is_lost(own: Engine) -> None:
    before = _pids(own)
    (own.data_dir / "engine.json").unlink()
    located = own.up()
    assert not set(before) & set(_pids(own))
    _assert_data_is_there(located)


def test_up_recovers_when_pids_were_given_to_other_processes(own: Engine) -> None:
    own.down()
    data_dir = own.data_dir
    state = load_state(data_dir)
    stranger = ProcessRef(os.getpid(), 1.0)
    for name, part in state.parts.items():
        state = state.with_part(name, PartState(part.ports, part.url, stranger))
    save_state(data_dir, state)
    pid_file = data_dir / "postgres" / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_dir}\n1\n{state.parts['postgres'].ports[0]}\n\n127.0.0.1\n", "utf-8")
    assert not own.status().is_anything_running
    _assert_data_is_there(own.up())


def test_databases_are_made_once_and_dropped_while_in_use(own: Engine) -> None:
    url = own.create_database("ha_nam")
    assert own.create_database("ha_nam") == url
    connection = psycopg.connect(url.replace("+psycopg", ""))
    own.drop_database("ha_nam")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    own.drop_database("ha_nam")


def test_down_leaves_no_process_and_says_so_when_repeated(own: Engine) -> None:
    pids = _pids(own)
    assert own.down() == ("kafka", "postgres")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert own.down() == ()
    assert own.status().is_anything_running is False


def test_command_recovers_when_an_earlier_one_was_killed_while_starting(tmp_path: Path) -> None:
    environment = {**os.environ, "HUB_DATA_DIR": str(tmp_path / "data")}
    hub = [sys.executable, "-m", "hub.cli"]
    with subprocess.Popen([*hub, "up"], env=environment, stderr=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + HANG_S
        while not load_state(tmp_path / "data").parts.keys() >= {"postgres"} and time.monotonic() < deadline:
            time.sleep(0.02)
        killed.kill()
    try:
        assert subprocess.run([*hub, "status"], env=environment, capture_output=True, check=False).returncode == 3
        up = subprocess.run([*hub, "up", "--json"], env=environment, capture_output=True, text=True, check=True)
        assert json.loads(up.stdout)["healthy"] is True
        assert subprocess.run([*hub, "status"], env=environment, capture_output=True, check=False).returncode == 0
    finally:
        down = subprocess.run([*hub, "down"], env=environment, capture_output=True, text=True, check=True)
    assert "stopped: kafka, postgres" in down.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to change to")
def test_account_is_not_root_and_reaches_a_private_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nid -u\n", "utf-8")
    program.chmod(0o755)
    own_folder(tmp_path / "data")
    account = account_for(program, tmp_path / "data")
    assert account.run([str(program)]).stdout.strip() not in ("0", "")
    assert tmp_path.stat().st_mode & 0o777 == 0o700
