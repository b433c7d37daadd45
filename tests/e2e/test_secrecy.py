"""Where people's data must not be: in keys, logs, pages, errors, the audit log, the portal's masked output."""

import json

import pytest
from kafka import KafkaConsumer, TopicPartition

from hub.model.entities import CITIZEN, DOSSIER
from hub.model.keys import KEY_BYTES
from hub.topology import dead_letter_topic, merged_topics, record_topic
from tests.e2e.grounds import Field
from tests.e2e.hub_process import run_hub
from tests.support.event_set import pin_of

pytestmark = pytest.mark.engine

SECRETS = (pin_of(0)[:9], "Người", "Tên Mới")
"""What all PINs of the events begin with, and parts of all names."""

RECORD_TOPICS = (record_topic(CITIZEN), record_topic(DOSSIER))
OPEN_TABLES = ("audit", "batch", "conflict", "log_partition", "review", "share_position", "source")


def _told(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.fixture(scope="module")
def shared(undisturbed: Field) -> str:
    """Publish the golden records of the undisturbed warehouse; what share wrote."""
    ran = run_hub(undisturbed.environment(), "share", "--once", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["published"] > len(undisturbed.dead_letters())
    return ran.stdout + ran.stderr


def test_i8_events_hold_what_is_looked_for(undisturbed: Field) -> None:
    held = " ".join(str(row) for row in undisturbed.rows("SELECT c FROM citizen_person_claim c"))
    assert _told(held) == list(SECRETS)


def test_i8_logs_of_worker_and_share_name_no_person(undisturbed: Field, shared: str) -> None:
    assert "placed" in undisturbed.workers[0].output()
    assert _told(undisturbed.workers[0].output()) == []
    assert _told(shared) == []


def test_i8_logs_of_the_servers_name_no_person(undisturbed: Field, shared: str) -> None:
    logs = undisturbed.grounds.engine.status().data_dir / "logs"
    written = {log.name: log.read_text("utf-8", "replace") for log in logs.iterdir()}
    assert written["postgres.log"]
    assert [name for name, text in written.items() if _told(text)] == []


def test_i8_pages_of_the_worker_name_no_person(undisturbed: Field) -> None:
    assert undisturbed.pages["/health"][1]["consumed"] == len(undisturbed.grounds.records)
    assert "dancu" in undisturbed.pages["/sources"][1]
    assert _told(json.dumps(undisturbed.pages, ensure_ascii=False)) == []


@pytest.mark.parametrize("table", OPEN_TABLES)
def test_i8_table_that_operators_see_names_no_person(undisturbed: Field, shared: str, table: str) -> None:
    rows = undisturbed.rows(f"SELECT CAST(t AS text) FROM {table} t")
    assert rows
    assert _told("".join(str(row) for row in rows)) == []


def test_i8_dead_letters_tell_why_without_a_name(undisturbed: Field) -> None:
    rows = undisturbed.rows("SELECT reason, detail, schema_id FROM dead_letter")
    assert rows
    assert _told(" ".join(str(row) for row in rows)) == []


def test_i8_keys_on_kafka_are_hashes(undisturbed: Field, shared: str) -> None:
    names = (*merged_topics(), *RECORD_TOPICS, *(dead_letter_topic(topic) for topic in merged_topics()))
    consumer = KafkaConsumer(
        bootstrap_servers=undisturbed.grounds.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        consumer_timeout_ms=2_000,
    )
    try:
        consumer.assign([TopicPartition(name, part) for name in names for part in consumer.partitions_for_topic(name)])
        keys = {(record.topic, record.key) for record in consumer}
    finally:
        consumer.close()
    assert {len(key) for _, key in keys if key is not None} == {KEY_BYTES}
    assert {topic for topic, _ in keys} >= set(RECORD_TOPICS)
    assert not any(secret.encode() in key for _, key in keys if key for secret in SECRETS)


@pytest.mark.parametrize("command", [("portal", "tail", "--limit", "0", "--json"), ("ledger", "--json")], ids=" ".join)
def test_i8_command_shows_no_person(undisturbed: Field, shared: str, command: tuple[str, ...]) -> None:
    ran = run_hub(undisturbed.environment(), *command)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout) > 1_000
    assert _told(ran.stdout + ran.stderr) == []
