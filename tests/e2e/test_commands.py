"""The command as an operator meets it: wrong settings, servers that are away, signals, a log that lost what it held."""

import signal
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from hub.topology import event_topic
from tests.e2e.grounds import Field, Grounds
from tests.e2e.hub_process import HUB, run_hub, wait_until
from tests.support.event_set import Outgoing, send

pytestmark = pytest.mark.engine

NOWHERE = {
    "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "HUB_DATABASE_URL": "postgresql+psycopg://hub:wrong@127.0.0.1:1/hub",
    "HUB_KEY_SECRET": "a secret of the tests",
}
POLICY = """
[[source]]
code = "one"
agency = "H01"
role = "king"
subjects = ["citizen.changed", "weather.changed"]

[[source]]
code = "two"
role = "province"
subjects = ["citizen.changed"]
valid_until = 2025-07-01
"""


def test_wrong_settings_are_all_named_at_once() -> None:
    wrong = {"HUB_PARTITIONS": "0", "HUB_KEY_SECRET": "short", "HUB_BATCH_ROWS": "many", "HUB_DATABASE_SCHEMA": "Hub!"}
    ran = run_hub(wrong, "ledger")
    assert ran.returncode == 2
    assert all(name in ran.stderr for name in wrong), ran.stderr
    assert "short" not in ran.stderr


def test_wrong_policy_is_refused_with_every_problem(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    ran = run_hub(NOWHERE | {"HUB_POLICY": str(policy)}, "worker")
    assert ran.returncode == 2
    for problem in ("king", "weather.changed", "agency is missing", "valid_until must be a time"):
        assert problem in ran.stderr, ran.stderr


@pytest.mark.parametrize(
    "command", [("ledger",), ("topics", "ensure"), ("db", "migrate"), ("portal", "tail")], ids=" ".join
)
def test_short_command_ends_with_3_when_its_server_is_away(command: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_hub(NOWHERE | {"HUB_DATA_DIR": str(tmp_path)}, *command)
    assert ran.returncode == 3, ran.stderr
    assert "unreachable" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "wrong" not in ran.stderr


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_worker_in_peace(field: Field, sent: signal.Signals, code: int) -> None:
    worker = field.worker()
    field.wait_for(300)
    worker.process.send_signal(sent)
    assert worker.wait() == code
    assert field.problems() == []


def test_partition_stops_when_log_begins_after_the_stored_offset(grounds: Grounds, field: Field) -> None:
    topic = event_topic("inspection.changed")
    send(grounds.bootstrap, [Outgoing(topic, None, b"gone") for _ in range(40)])
    assert run_hub(field.environment(), "db", "migrate").returncode == 0
    field.execute(
        "INSERT INTO log_partition (topic, partition, first_offset, next_offset) "
        f"VALUES ('{topic}', 0, 0, 0), ('{topic}', 1, 0, 0)"
    )
    admin = KafkaAdminClient(bootstrap_servers=grounds.bootstrap)
    try:
        admin.delete_records({TopicPartition(topic, number): -1 for number in (0, 1)})
    finally:
        admin.close()
    worker = field.worker()
    wait_until(lambda: "after the stored offset 0" in worker.output(), worker.output)
    wait_until(lambda: _lost(field), worker.output)
    assert set(_lost(field)) <= {f"{topic}/0", f"{topic}/1"}
    field.wait_for(300)
    assert worker.process.poll() is None


def test_partition_stops_when_log_ends_before_the_stored_offset(field: Field, undisturbed: Field) -> None:
    assert run_hub(field.environment(), "db", "migrate").returncode == 0
    field.execute(
        "INSERT INTO log_partition (topic, partition, first_offset, next_offset) "
        "VALUES ('hub.citizen.changed.v1', 0, 0, 1000000)"
    )
    worker = field.worker()
    wait_until(lambda: "before the stored offset 1000000" in worker.output(), worker.output)
    wait_until(lambda: _lost(field) == ["hub.citizen.changed.v1/0"], worker.output)
    field.wait_for(300)
    assert (
        field.value("SELECT count(*) FROM audit a JOIN log_partition p ON p.id = a.log AND p.next_offset = 1000000")
        == 0
    )
    assert worker.process.poll() is None


def _lost(field: Field) -> list[str]:
    """Return the places of the alerts that say so."""
    rows = field.rows("SELECT place FROM alert WHERE detail LIKE 'LOST_RANGE%' AND closed_at IS NULL ORDER BY 1")
    return [place for (place,) in rows]


def test_share_ends_with_130_on_interrupt(undisturbed: Field) -> None:
    sharing = undisturbed.worker(HUB, "share")
    has_its_turn = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
    )
    wait_until(lambda: undisturbed.value(has_its_turn), sharing.output)
    sharing.process.send_signal(signal.SIGINT)
    assert sharing.wait() == 130
