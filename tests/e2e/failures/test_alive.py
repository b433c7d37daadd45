"""A process that is killed is missed, and one that waits for PostgreSQL says so though it has nothing to do."""

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.topology import HEARTBEAT_TOPIC, SOURCE_ACTIVITY_TOPIC
from tests.e2e.grounds import Field
from tests.e2e.hub_process import HUB, WorkerProcess, run_hub, wait_until
from tests.support.log_bytes import Said
from tests.support.odd_log import send_batch

pytestmark = pytest.mark.engine

SOON = {"HUB_GONE_AFTER_S": "12"}
"""Above a connector's interval, with room for a machine that is slow."""


def _status(field: Field) -> tuple[int, dict[str, Any]]:
    ran = run_hub(field.environment(SOON), "status", "--json")
    return ran.returncode, json.loads(ran.stdout)


def _conditions(field: Field) -> list[str]:
    return sorted(one["condition"] for one in _status(field)[1]["processes"])


def test_killed_worker_is_missed_by_status_alerts_and_ledger_until_another_takes_its_place(field: Field) -> None:
    worker = field.worker(**SOON)
    field.wait_for(300)
    wait_until(lambda: _conditions(field) == ["runs"], lambda: str(_status(field)))
    assert _status(field)[0] == 0
    worker.process.send_signal(signal.SIGKILL)
    worker.wait()
    wait_until(lambda: _conditions(field) == ["gone"], lambda: str(_status(field)))
    assert _status(field)[0] == 1
    alerts = run_hub(field.environment(SOON), "alerts", "list", "--json")
    assert alerts.returncode == 1
    assert [one["name"] for one in json.loads(alerts.stdout)["alerts"]] == ["worker_gone"]
    ledger = run_hub(field.environment(SOON), "ledger")
    assert ledger.returncode == 1
    assert f"worker {_status(field)[1]['processes'][0]['name']}: gone" in ledger.stdout
    field.worker(**SOON)
    wait_until(lambda: _conditions(field) == ["ended", "runs"], lambda: str(_status(field)))
    wait_until(lambda: run_hub(field.environment(SOON), "alerts", "list").returncode == 0, field.workers[-1].output)
    assert _status(field)[0] == 0


def test_worker_that_is_stopped_in_order_is_not_missed(field: Field) -> None:
    worker = field.worker(**SOON)
    field.wait_for(300)
    wait_until(lambda: _conditions(field) == ["runs"], lambda: str(_status(field)))
    worker.stop()
    assert _conditions(field) == ["ended"]
    assert _status(field)[0] == 0
    wait_until(lambda: _status(field)[0] == 1, lambda: str(_status(field)))
    for command in (("status",), ("alerts", "list"), ("ledger",)):
        ran = run_hub(field.environment(SOON), *command)
        assert ran.returncode == 1, ran.stdout
        assert "no worker runs since" in ran.stdout, ran.stdout
    field.worker(**SOON)
    wait_until(lambda: _status(field)[0] == 0, field.workers[-1].output)
    assert run_hub(field.environment(SOON), "alerts", "list").returncode == 0


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_share_that_is_stopped_in_order_says_so_and_is_not_missed(
    field: Field, tmp_path: Path, which: signal.Signals
) -> None:
    run_hub(field.environment(SOON), "db", "migrate")
    share = WorkerProcess(field.environment(SOON), tmp_path / "share.log", (HUB, "share"))
    try:
        wait_until(lambda: _conditions(field) in (["runs"], ["waits"]), share.output)
        share.process.send_signal(which)
        assert share.wait() == 128 + which
    finally:
        share.stop()
    assert _conditions(field) == ["ended"]
    assert _status(field)[0] == 0
    lines = share.output().splitlines()
    assert len([line for line in lines if ": begins, Kafka " in line]) == 1, share.output()
    assert ": ended, 0 records published" in lines[-1], share.output()
    assert "Traceback" not in share.output()


def test_no_record_on_the_topics_of_its_own_ends_a_worker(field: Field) -> None:
    """Whoever may write heartbeats may write anything: headers that are no text, times that are none, no JSON."""
    worker = field.worker(**SOON)
    field.wait_for(300)
    now = datetime.now(UTC).isoformat()
    said = {"role": "connector", "host": "a", "pid": 1, "version": "1", "at": now, "began_at": now, "progress_at": now}
    wrong = json.dumps(said | {"name": "dancu/wrong", "began_at": "0001-01-01T00:00:00+14:00"}).encode()
    bootstrap = field.grounds.bootstrap
    for topic in (HEARTBEAT_TOPIC, SOURCE_ACTIVITY_TOPIC):
        for odd in (Said(value=wrong), Said(value=None), Said(value=b"{"), Said(headers=[(b"\xff", b"1")])):
            send_batch(bootstrap, topic, 0, [odd])
    send_batch(bootstrap, HEARTBEAT_TOPIC, 0, [Said(value=json.dumps(said | {"name": "dancu/right"}).encode())])

    def heard() -> list[str]:
        return [one["name"] for one in _status(field)[1].get("processes") or [] if one["role"] == "connector"]

    wait_until(lambda: "dancu/right" in heard() or worker.process.poll() is not None, worker.output)
    assert worker.process.poll() is None, worker.output()[-3000:]
    assert worker.health() == 200
    assert "crashed" not in worker.output().lower()


@pytest.mark.parametrize("how", ["stopped", "hanging"])
def test_idle_worker_says_within_seconds_that_postgres_is_away_once_and_once_that_it_is_back(
    field: Field, how: str
) -> None:
    worker = field.worker()
    field.wait_for_all()
    wait_until(lambda: worker.health() == 200, worker.output)
    engine = field.grounds.engine
    server = next(part.pid for part in engine.status().parts if part.name == "postgres")
    assert server is not None
    lines_before = worker.output().count("paused: ")
    if how == "stopped":
        engine.stop_postgres(immediate=True)
    else:
        _signal_all(server, signal.SIGSTOP)
    try:
        wait_until(lambda: worker.health() == 503, worker.output)
        assert "PostgreSQL" in worker.page("/health")[1]["waiting_for"]
        wait_until(lambda: worker.page("/health")[1]["waiting_s"] >= 6, worker.output)
    finally:
        if how == "stopped":
            engine.start_postgres()
        else:
            _signal_all(server, signal.SIGCONT)
    wait_until(lambda: worker.health() == 200, worker.output)
    lines = worker.output()
    assert lines.count("paused: ") == lines_before + 1, lines[-3000:]
    assert lines.count("going on after") == 1, lines[-3000:]
    assert lines.count("parked records") <= 1, lines[-3000:]
    field.database.dispose()


def _signal_all(server: int, which: signal.Signals) -> None:
    """Signal PostgreSQL and all its processes: a frozen machine answers nothing at all."""
    import psutil

    parent = psutil.Process(server)
    for process in [parent, *parent.children(recursive=True)]:
        process.send_signal(which)


def test_start_of_a_worker_is_told_in_a_few_lines(field: Field) -> None:
    worker = field.worker()
    field.wait_for(1)
    wait_until(lambda: "placed" in worker.output(), worker.output)
    lines = worker.output().splitlines()
    start = lines[: next(number for number, line in enumerate(lines) if "placed" in line) + 1]
    assert len(start) <= 10, "\n".join(start)
    assert not [line for line in lines if " ERROR " in line]


DECLARATION = """
[source]
code = "hanam.motcua"
agency = "H25"
unit_scheme = "GSO_2004"
url = "sqlite:///{file}"

[[stream]]
name = "people"
connector = "table"
subject = "citizen.changed"
table = "nguoi"
key = ["so"]
version = "ban"
changed_at = "luc"
[stream.fields]
pin = "so"
full_name = "ten"
"""


def test_killed_connector_is_missed_and_one_that_ends_in_order_is_not(field: Field, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "source.db")) as source, source:
        source.execute("CREATE TABLE nguoi (so TEXT PRIMARY KEY, ten TEXT, ban INTEGER, luc TIMESTAMP NOT NULL)")
        source.execute("INSERT INTO nguoi VALUES ('035800000001', 'Người Một', 1, '2025-03-01 08:00:00')")
    declared = tmp_path / "hanam.toml"
    declared.write_text(DECLARATION.format(file=tmp_path / "source.db"))
    worker = field.worker(**SOON)

    def connector() -> WorkerProcess:
        command = (HUB, "connect", "run", str(declared))
        return WorkerProcess(field.environment(SOON), tmp_path / "connector.log", command)

    def condition() -> str:
        found = [one["condition"] for one in _status(field)[1]["processes"] if one["role"] == "connector"]
        return found[0] if found else "unheard"

    first = connector()
    try:
        wait_until(lambda: condition() == "runs", lambda: first.output() + worker.output()[-3000:])
        named = [one for one in _status(field)[1]["processes"] if one["role"] == "connector"]
        assert [one["name"] for one in named] == ["hanam.motcua/hanam.toml"]
        first.process.send_signal(signal.SIGKILL)
        first.wait()
        wait_until(lambda: condition() == "gone", lambda: str(_status(field)))
        assert _status(field)[0] == 1
        assert "connector_gone" in run_hub(field.environment(SOON), "alerts", "list").stdout
    finally:
        first.stop()
    second = connector()
    try:
        wait_until(lambda: condition() == "runs", second.output)
    finally:
        second.stop()
    wait_until(lambda: condition() == "ended", second.output)
    assert _status(field)[0] == 0
