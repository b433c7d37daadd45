"""The log as a redrive uses it: where partitions end, records sent and confirmed, copies looked for by their origin."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from hub.model.errors import HubError, UnreachableError
from hub.operate.history import Place
from hub.operate.publish import FLUSH_LIMIT_S
from hub.retry import FIRST_ANSWER_MS
from hub.topology import HEADER_ORIGIN

_POLL_MS = 500


def origin_header(origin: Place) -> tuple[str, bytes]:
    """Return the header that names the letter a record was made from."""
    return HEADER_ORIGIN, f"{origin.topic}/{origin.partition}/{origin.offset}".encode()


def ends_of(bootstrap: str, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return where partitions end now.

    Raises:
        UnreachableError: no broker answers.
    """
    wanted = [TopicPartition(*partition) for partition in sorted(partitions)]
    with _reader(bootstrap) as reader:
        return {(place.topic, place.partition): end for place, end in reader.end_offsets(wanted).items()}


def send_all(out: KafkaProducer, sending: Sequence[Any], origins: Sequence[Place]) -> dict[Place, int]:
    """Wait until the broker has confirmed every record; return the offset each got, by its origin.

    Raises:
        UnreachableError: it did not confirm all of them; which it took can be read in the log.
    """
    try:
        out.flush(timeout=FLUSH_LIMIT_S)
        return {
            origin: int(sent.get(timeout=FLUSH_LIMIT_S).offset) for origin, sent in zip(origins, sending, strict=True)
        }
    except KafkaError as error:
        raise UnreachableError(
            f"the broker did not confirm every record ({type(error).__name__}): redrive again, "
            "which looks in the log before it sends"
        ) from error


def copies_since(bootstrap: str, ends: Mapping[Place, int]) -> dict[Place, int]:
    """Look for records of some origins in their partitions, each from an offset on to the end; return where they stand.

    Args:
        bootstrap: Kafka brokers.
        ends: by origin, the first offset at which a copy can stand.

    Raises:
        UnreachableError: no broker answers.
        HubError: a partition no longer holds what has to be looked through.
    """
    firsts: dict[TopicPartition, int] = {}
    for origin, end in ends.items():
        partition = TopicPartition(origin.topic, origin.partition)
        firsts[partition] = min(end, firsts.get(partition, end))
    wanted = {origin_header(origin)[1]: origin for origin in ends}
    found: dict[Place, int] = {}
    with _reader(bootstrap) as reader:
        for header, offset in _origins(reader, firsts):
            if header in wanted:
                found.setdefault(wanted[header], offset)
    return found


def _origins(reader: KafkaConsumer, firsts: Mapping[TopicPartition, int]) -> Iterator[tuple[bytes, int]]:
    """Read partitions to where they end now; yield origin and offset of every record that has an origin."""
    begins, ends = reader.beginning_offsets(list(firsts)), reader.end_offsets(list(firsts))
    left = {partition for partition, first in firsts.items() if first < ends[partition]}
    for partition in left:
        if begins[partition] > firsts[partition]:
            raise HubError(
                f"{partition.topic}/{partition.partition}: the log begins at {begins[partition]}, and an interrupted "
                f"redrive must look from {firsts[partition]} on; whether its records were sent cannot be told"
            )
    reader.assign(sorted(left))
    for partition in left:
        reader.seek(partition, firsts[partition])
    while left:
        for partition, records in reader.poll(timeout_ms=_POLL_MS).items():
            for record in records:
                if origin := dict(record.headers).get(HEADER_ORIGIN):
                    yield origin, record.offset
            if reader.position(partition) >= ends[partition]:
                left.discard(partition)
                reader.pause(partition)


@contextmanager
def _reader(bootstrap: str) -> Iterator[KafkaConsumer]:
    try:
        reader = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            bootstrap_timeout_ms=FIRST_ANSWER_MS,
        )
    except KafkaError as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error
    try:
        yield reader
    except KafkaError as error:
        raise UnreachableError(f"the log at {bootstrap} cannot be read: {type(error).__name__}") from error
    finally:
        reader.close()
