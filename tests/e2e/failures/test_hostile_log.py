"""What the owners of a Kafka may do to the log of a hub that runs: each case on the same worker and the same share."""

import asyncio
import json
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from hub.config import Settings
from hub.embedded.engine import Engine
from hub.operate.log.topics import create_topics
from hub.topology import MAX_LOG_RECORD_BYTES, event_topic, topics
from tests.e2e.grounds import PARTITIONS, Field, Grounds
from tests.e2e.hub_process import HUB, WorkerProcess, run_hub, wait_until
from tests.support.event_set import EventSet, Outgoing, pin_of, send
from tests.support.log_bytes import Said, batch

pytestmark = pytest.mark.engine

CITIZENS, RECORDS = event_topic("citizen.changed"), "hub.citizen.record.v1"
INSPECTIONS, PAYMENTS = event_topic("inspection.changed"), event_topic("social_payment.changed")
MOST_MEMORY = 1_600 << 20
FLOOD = 130


@dataclass(frozen=True, slots=True)
class Night:
    """A hub that runs, and whoever may change its Kafka."""

    field: Field
    worker: WorkerProcess
    share: WorkerProcess
    admin: KafkaAdminClient

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self.field.grounds.bootstrap

    def hub(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it printed."""
        ran = run_hub(self.field.environment({"HUB_PARTITIONS": str(PARTITIONS)}), *words)
        return ran.returncode, ran.stdout + ran.stderr

    def people(self, numbers: Sequence[int], version: int) -> list[Outgoing]:
        """Return events of people, one each."""
        events = EventSet(self.field.grounds.secret, seed=numbers[0] * 10 + version)
        name = f"Người Thứ {version}"
        fields = [events.fields("dancu", version, pin=pin_of(number), full_name=name) for number in numbers]
        return [events.record("citizen.changed", one) for one in fields]

    def wait_for_people(self, count: int, version: int) -> None:
        """Wait until so many claims have a version."""
        query = f"SELECT count(*) FROM citizen_person_claim WHERE source_version = {version}"
        wait_until(lambda: self.field.value(query) >= count, lambda: self.worker.output()[-3000:], 60)

    def alerts(self) -> dict[tuple[str, str], str]:
        """Return the open alerts."""
        found = self.field.rows("SELECT name, place, detail FROM alert WHERE closed_at IS NULL")
        return {(name, place): detail for name, place, detail in found}

    def wait_for_alert(self, name: str, place: str) -> str:
        """Wait until an alert is open; return what it says."""
        wait_until(lambda: (name, place) in self.alerts(), lambda: self.worker.output()[-3000:], 60)
        return self.alerts()[name, place]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Servers, a worker and a share of this file's own."""
    folder = tmp_path_factory.mktemp("hostile")
    engine = Engine(Settings(data_dir=folder / "engine"))
    try:
        places = engine.up()
        create_topics(places.bootstrap, topics(PARTITIONS), replication=1)
        field = Field(Grounds(engine, places.bootstrap, places.key_secret, []), "hostile", folder / "field")
        admin = KafkaAdminClient(bootstrap_servers=places.bootstrap)
        try:
            worker = field.worker(HUB_BATCH_ROWS="36000")
            wait_until(lambda: "placed" in worker.output(), worker.output)
            yield Night(field, worker, field.worker(HUB, "share"), admin)
        finally:
            admin.close()
            field.close()
    finally:
        engine.down()


def _portal(night: Night) -> dict[bytes, set[int]]:
    """Return in which partitions of its topic each key has records."""
    consumer = KafkaConsumer(
        bootstrap_servers=night.bootstrap, group_id=None, isolation_level="read_committed", consumer_timeout_ms=1_000
    )
    try:
        places = [TopicPartition(RECORDS, number) for number in consumer.partitions_for_topic(RECORDS)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        found: dict[bytes, set[int]] = {}
        for record in consumer:
            found.setdefault(record.key, set()).add(record.partition)
        return found
    finally:
        consumer.close()


def test_partitions_added_to_topics_of_events_and_of_records_are_read_and_part_no_key(night: Night) -> None:
    send(night.bootstrap, night.people(range(60), 1))
    wait_until(lambda: len(_portal(night)) == 60, night.share.output, 60)
    append_time = {"message.timestamp.type": "LogAppendTime"}
    night.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, CITIZENS, append_time)])
    night.admin.create_partitions({CITIZENS: 2 * PARTITIONS, RECORDS: 2 * PARTITIONS})
    wait_until(lambda: "partitions now" in night.share.output(), night.share.output, 60)
    send(night.bootstrap, night.people(range(120), 2))
    night.wait_for_people(120, 2)
    wait_until(lambda: len(_portal(night)) == 120, night.share.output, 60)
    read = night.field.rows(f"SELECT partition, consumed FROM log_partition WHERE topic = '{CITIZENS}'")
    assert sum(consumed for _, consumed in read) == 180
    assert len([consumed for _, consumed in read if consumed]) == 2 * PARTITIONS
    assert set.union(*_portal(night).values()) == set(range(PARTITIONS))
    assert all(len(partitions) == 1 for partitions in _portal(night).values())
    code, said = night.hub("share", "status", "--json")
    assert (code, json.loads(said)["partitions_added"]) == (0, [{"topic": RECORDS, "kept": 2, "there": 4}])
    assert "records stay in the first 2" in night.hub("share", "status")[1]


def test_log_shortened_while_the_worker_stands_still_is_told_of_one_partition_and_skipped_on_record(
    night: Night,
) -> None:
    night.worker.process.send_signal(signal.SIGSTOP)
    try:
        sent = send(night.bootstrap, night.people(range(120), 3))
        lost = [offset for _, partition, offset in sent if partition == 0]
        night.admin.delete_records({TopicPartition(CITIZENS, 0): lost[-1]})
    finally:
        night.worker.process.send_signal(signal.SIGCONT)
    place = f"{CITIZENS}/0"
    assert "LOST_RANGE" in night.wait_for_alert("partition_stopped", place)
    night.wait_for_people(120 - len(lost), 3)
    assert list(night.alerts()) == [("partition_stopped", place)]
    code, planned = night.hub("offsets", "plan", place, "--to", "begin", "--json")
    assert code == 0, planned
    applied = night.hub("offsets", "apply", json.loads(planned)["plan"], "--execute", "--reason", "a test")
    assert applied[0] == 0, applied
    night.wait_for_people(121 - len(lost), 3)
    wait_until(lambda: not night.alerts(), night.worker.output, 60)
    assert night.field.problems() == []


def test_records_that_are_far_larger_than_they_are_long_in_the_log_fill_no_memory_and_hold_up_no_neighbour(
    night: Night,
) -> None:
    """Each is just under what the topic lets in, and compressed: hundreds of them come with one fetch."""
    events = EventSet(night.field.grounds.secret, seed=4)
    fields = events.fields("thanhtra", 1, inspection_id="TT-1", inspectorate_agency="H42", phase="PREPARE")
    asyncio.run(_flood(night.bootstrap, FLOOD, events.record("inspection.changed", fields)))
    tops: list[int] = [0]
    over = threading.Event()
    watching = threading.Thread(target=_watch_memory, args=(night.worker.process.pid, tops, over))
    watching.start()
    try:
        send(night.bootstrap, night.people(range(120), 4))
        place = f"{INSPECTIONS}/0"
        assert "TOO_LARGE" in night.wait_for_alert("partition_stopped", place)
        night.wait_for_people(120, 4)
        accept = ("--accept-poison", str(FLOOD), "--reason", "a test", "--execute")
        resumed = night.hub("partitions", "resume", place, *accept)
        assert resumed[0] == 0, resumed
        query = f"SELECT next_offset FROM log_partition WHERE topic = '{INSPECTIONS}' AND partition = 0"
        wait_until(lambda: night.field.value(query) == FLOOD + 1, night.worker.output, 60)
    finally:
        over.set()
        watching.join()
    assert night.worker.is_alive()
    assert 0 < tops[0] < MOST_MEMORY, f"{tops[0] >> 20} MiB"
    told = dict(night.field.rows("SELECT reason, count(*) FROM dead_letter GROUP BY 1"))
    assert told == {"TOO_LARGE": FLOOD}
    assert night.field.value("SELECT count(*) FROM inspection_inspection_claim") == 1
    wait_until(lambda: not night.alerts(), night.worker.output, 60)
    assert night.field.problems() == []


async def _flood(bootstrap: str, count: int, behind: Outgoing) -> None:
    """Send large records to one partition, and a good one behind them."""
    large = batch(0, [Said(key=b"k" * 16, value=bytes(MAX_LOG_RECORD_BYTES - 200_000))], codec=4)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=MAX_LOG_RECORD_BYTES)
    await producer.start()
    try:
        for _ in range(count):
            made = producer.create_batch()
            made.append(key=b"k", value=b"v", timestamp=None)
            made.close()
            made._buffer = bytearray(large)
            await producer.send_batch(made, INSPECTIONS, partition=0)
        await producer.send_and_wait(INSPECTIONS, behind.value, key=behind.key, partition=0)
    finally:
        await producer.stop()


def _watch_memory(pid: int, tops: list[int], over: threading.Event) -> None:
    """Keep the most memory that a process and its children have had."""
    process = psutil.Process(pid)
    while not over.wait(0.05):
        try:
            found = [one.memory_info().rss for one in (process, *process.children(recursive=True))]
        except psutil.NoSuchProcess:
            continue
        tops[0] = max(tops[0], sum(found))


def test_topic_that_is_deleted_is_an_alert_until_it_is_there_again(night: Night) -> None:
    night.admin.delete_topics([PAYMENTS])
    told = night.wait_for_alert("topic_gone", PAYMENTS)
    assert "nothing of it is read" in told
    assert "hub topics ensure --execute" in told
    assert night.hub("alerts", "list")[0] == 1
    send(night.bootstrap, night.people(range(120), 5))
    night.wait_for_people(120, 5)
    assert night.worker.health() == 200
    assert night.hub("topics", "ensure", "--execute")[0] == 0
    wait_until(lambda: ("topic_gone", PAYMENTS) not in night.alerts(), night.worker.output, 60)
