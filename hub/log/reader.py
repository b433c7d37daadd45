"""The consumer for commands that read the log: committed records only, and no record makes it fail.

This is the one place for reading by coordinates. It uses no consumer group, so it moves no offsets; it knows the same
codecs as the worker; and it returns ``OddRecord`` for a record that cannot be read (hub.log.unpacking).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from kafka.protocol.consumer import IsolationLevel

from hub.log.clients import check_broker
from hub.log.odd import OddRecord
from hub.log.places import Partition
from hub.model.errors import UnreachableError
from hub.retry import FIRST_ANSWER_MS

READ_COMMITTED, READ_UNCOMMITTED = "read_committed", "read_uncommitted"
_FETCH_BYTES = 4 * 1_048_576


def open_reader(bootstrap: str, **options: Any) -> KafkaConsumer:
    """Return a consumer without a group; the caller closes it.

    Args:
        bootstrap: Kafka brokers.
        options: settings of ``KafkaConsumer`` that replace the defaults.

    Raises:
        UnreachableError: no broker answers.
    """
    check_broker(bootstrap)
    settings = {
        "auto_offset_reset": "none",
        "isolation_level": READ_COMMITTED,
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "bootstrap_timeout_ms": FIRST_ANSWER_MS,
        **options,
    }
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","), group_id=None, enable_auto_commit=False, **settings
        )
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error
    consumer._fetcher.PartitionRecords = _PartitionRecords
    return consumer


@contextmanager
def log_reader(bootstrap: str, **options: Any) -> Iterator[KafkaConsumer]:
    """Yield a consumer of ``open_reader``; Kafka errors inside become UnreachableError.

    Raises:
        UnreachableError: no broker answers, or it stops answering.
    """
    consumer = open_reader(bootstrap, **options)
    try:
        yield consumer
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error
    except KafkaError as error:
        raise UnreachableError(f"the log at {bootstrap} cannot be read: {type(error).__name__}") from error
    finally:
        consumer.close()


def partitions_of(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic; empty if there is no such topic."""
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


def read_from_the_beginning(consumer: KafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Let a consumer read partitions from their first records on; return where they end now."""
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
    return ends


def written_ends(bootstrap: str, partitions: Collection[Partition]) -> dict[Partition, int]:
    """Return where partitions end, by (topic, partition), with the records of open transactions included.

    Raises:
        UnreachableError: the broker does not answer.
    """
    with log_reader(bootstrap, isolation_level=READ_UNCOMMITTED) as reader:
        ends = reader.end_offsets([TopicPartition(*one) for one in partitions])
        return {(one.topic, one.partition): end for one, end in ends.items()}


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """Records of a fetch, unpacked by the hub."""

    def _unpack_records(
        self, tp: TopicPartition, records: Any, key_deserializer: Any, value_deserializer: Any
    ) -> Iterator[Any]:
        from hub.log.unpacking import Unpacking  # the second client: commands that read no record do without it

        aborted = [(one.producer_id, one.first_offset) for one in self.aborted_transactions]
        is_committed = self.isolation_level == IsolationLevel.READ_COMMITTED
        content = bytes(records._buffer)
        unpacking = Unpacking((tp.topic, tp.partition), content, self.fetch_offset, aborted, is_committed)
        self.bytes_read = len(content)
        for record in unpacking:
            self.next_fetch_offset = unpacking.next_offset
            self.records_read += 1
            is_odd = isinstance(record, OddRecord) and record.why
            yield record if is_odd else _consumer_record(tp, record)
        self.next_fetch_offset = unpacking.next_offset
        self.drain()


def _consumer_record(tp: TopicPartition, record: Any) -> ConsumerRecord:
    sizes = (-1 if part is None else len(part) for part in (record.key, record.value))
    time_type = getattr(record, "timestamp_type", 0)
    headers = tuple(record.headers)
    return ConsumerRecord(
        tp.topic,
        tp.partition,
        -1,
        record.offset,
        record.timestamp,
        time_type,
        record.key,
        record.value,
        headers,
        None,
        *sizes,
        -1,
    )
