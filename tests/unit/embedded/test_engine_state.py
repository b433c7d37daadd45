"""The engine's state file, secrets, ports and configuration files."""

import os
import socket
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hub.config import Settings
from hub.embedded import kafka, locate, ports, postgres
from hub.embedded.processes import is_running, reference
from hub.embedded.state import (
    EngineState,
    PartState,
    ProcessRef,
    load_or_make_secrets,
    load_secrets,
    load_state,
    save_state,
)
from hub.model.errors import ConfigError, UnreachableError
from hub.topology import MAX_LOG_RECORD_BYTES

_URLS = {"postgres": "postgresql+psycopg://hub@127.0.0.1:20001/hub", "kafka": "127.0.0.1:20002"}


def _running_here() -> EngineState:
    own = reference(os.getpid())
    return EngineState(
        is_up=True,
        parts={
            "postgres": PartState((20001,), _URLS["postgres"], own),
            "kafka": PartState((20002, 20003), _URLS["kafka"], own),
        },
    )


def test_state_is_read_as_it_was_saved(tmp_path: Path) -> None:
    state = _running_here().with_part("kafka", PartState((1, 2), "x"))
    save_state(tmp_path, state)
    assert load_state(tmp_path) == state


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "is_up": true, "parts": {"kafka": 1}}']
)
def test_state_counts_as_empty_when_its_file_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content, "utf-8")
    assert load_state(tmp_path) == EngineState()


def test_state_file_holds_no_secret(tmp_path: Path) -> None:
    secrets = load_or_make_secrets(tmp_path)
    save_state(tmp_path, _running_here())
    assert secrets.postgres_password not in (tmp_path / "engine.json").read_text("utf-8")


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    assert load_secrets(tmp_path) is None
    made = load_or_make_secrets(tmp_path)
    assert load_or_make_secrets(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert made.postgres_password not in repr(made)
    assert made.key_secret not in repr(made)


def test_process_is_not_running_when_its_pid_belongs_to_another() -> None:
    own = reference(os.getpid())
    assert is_running(own)
    assert not is_running(replace(own, started_at=own.started_at - 3600))
    assert not is_running(ProcessRef(2**22 + 1, 1.0))
    assert not is_running(None)


def test_ports_are_the_preferred_ones_when_these_are_free() -> None:
    first = ports.choose(2)
    assert len(set(first)) == 2
    assert ports.choose(2, preferred=first) == first
    assert ports.choose(1, preferred=first) != first


def test_ports_are_waited_for_while_a_dying_server_holds_them() -> None:
    (port,) = ports.choose(1)
    with socket.create_server((ports.LOOPBACK, port)) as held:
        release = threading.Timer(0.2, held.close)
        release.start()
        assert ports.choose(1, preferred=(port,)) == (port,)
        release.join()


def test_ports_are_others_when_the_preferred_ones_stay_taken() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as held:
        taken = held.getsockname()[1]
        assert ports.choose(1, preferred=(taken,), patience_s=0.1) != (taken,)


def test_endpoints_come_from_the_running_engine(tmp_path: Path) -> None:
    save_state(tmp_path, _running_here())
    secrets = load_or_make_secrets(tmp_path)
    found = locate.endpoints(Settings(data_dir=tmp_path))
    assert found.bootstrap == _URLS["kafka"]
    assert found.database_url == f"postgresql+psycopg://hub:{secrets.postgres_password}@127.0.0.1:20001/hub"
    assert found.key_secret == secrets.key_secret
    assert secrets.postgres_password not in repr(found)


def test_endpoints_are_known_when_one_part_is_down(tmp_path: Path) -> None:
    state = _running_here()
    save_state(tmp_path, state.with_part("postgres", state.parts["postgres"].stopped()))
    load_or_make_secrets(tmp_path)
    assert locate.endpoints(Settings(data_dir=tmp_path)).database_url.endswith("@127.0.0.1:20001/hub")


@pytest.mark.parametrize("state", [EngineState(), replace(_running_here(), is_up=False)])
def test_endpoints_are_unreachable_when_nothing_runs(tmp_path: Path, state: EngineState) -> None:
    save_state(tmp_path, state)
    with pytest.raises(UnreachableError, match="hub up"):
        locate.endpoints(Settings(data_dir=tmp_path))


def test_endpoints_are_those_of_the_settings_when_set(tmp_path: Path) -> None:
    given = Settings(
        kafka_bootstrap="broker:9092",
        database_url="postgresql+psycopg://a:b@db/hub",
        key_secret="x" * 16,
        data_dir=tmp_path,
    )
    found = locate.endpoints(given)
    assert (found.bootstrap, found.database_url) == ("broker:9092", "postgresql+psycopg://a:b@db/hub")
    assert locate.embedded_parts(given) == ()


def test_endpoints_refuse_when_servers_are_elsewhere_without_key_secret(tmp_path: Path) -> None:
    given = Settings(kafka_bootstrap="b:1", database_url="postgresql+psycopg://a:b@db/hub", data_dir=tmp_path)
    with pytest.raises(ConfigError, match="HUB_KEY_SECRET"):
        locate.endpoints(given)


def test_kafka_lets_in_records_as_large_as_the_event_topics_do(tmp_path: Path) -> None:
    values = kafka.configuration(20002, 20003, tmp_path)
    assert int(values["message.max.bytes"]) >= MAX_LOG_RECORD_BYTES
    assert int(values["replica.fetch.max.bytes"]) >= int(values["message.max.bytes"])
    assert values["auto.create.topics.enable"] == "false"
    listeners = {values["listeners"], values["advertised.listeners"]}
    assert all("//127.0.0.1:" in address for given in listeners for address in given.split(","))
    assert f"log.dirs={tmp_path}\n" in kafka.render_properties(values)


def test_postgres_is_durable_and_on_loopback_only() -> None:
    rendered = postgres.configuration(20001, memory_bytes=24 * 2**30, has_lz4=True)
    for line in ("port = '20001'", "listen_addresses = '127.0.0.1'", "fsync = 'on'", "synchronous_commit = 'on'"):
        assert f"{line}\n" in rendered
    assert "shared_buffers = '2048MB'" in rendered
    assert "wal_compression = 'lz4'" in rendered


def test_postgres_takes_less_when_memory_is_small() -> None:
    rendered = postgres.configuration(1, memory_bytes=2 * 2**30, has_lz4=False)
    assert "shared_buffers = '170MB'" in rendered
    assert "wal_compression = 'off'" in rendered


@pytest.mark.parametrize(
    ("name", "is_fit"), [("ha_nam", True), ("t1", True), ("", False), ("Hà", False), ('a"; DROP', False)]
)
def test_database_names_need_no_quoting(name: str, is_fit: bool) -> None:
    assert postgres.is_database_name(name) is is_fit
