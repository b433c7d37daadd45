"""The log as a redrive uses it: ends of partitions, records sent and confirmed, copies searched by their origin."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from hub.log.clients import CONFIRM_LIMIT_S
from hub.log.odd import is_damage
from hub.log.places import Partition, Place, place_text
from hub.log.reader import log_reader, written_ends
from hub.model.errors import HubError, UnreachableError
from hub.topology import HEADER_ORIGIN

_POLL_MS = 500
_QUIET_LIMIT_S = 10.0


def origin_header(origin: Place) -> tuple[str, bytes]:
    """Return the header that names the letter from which a record was made."""
    return HEADER_ORIGIN, place_text(origin).encode()


def ends_of(bootstrap: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """Return the present ends of partitions.

    Raises:
        UnreachableError: no broker answers.
    """
    wanted = sorted(partitions)
    return written_ends(bootstrap, wanted)


def send_all(out: KafkaProducer, sending: Sequence[Any], origins: Sequence[Place]) -> dict[Place, int]:
    """Wait until the broker has confirmed every record; return the offset each got, by its origin."""
    out.flush(timeout=CONFIRM_LIMIT_S)
    waiting = zip(origins, sending, strict=True)
    return {origin: int(sent.get(timeout=CONFIRM_LIMIT_S).offset) for origin, sent in waiting}


@dataclass(frozen=True, slots=True)
class Sought:
    """A copy that may be in the log: the first offset at which it can be, and what was to be sent."""

    first: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)


def copies_since(bootstrap: str, sought: Mapping[Place, Sought]) -> dict[Place, int]:
    """Search partitions for records of some origins, each from its offset to the end; return where they are.

    The header alone proves nothing, because anybody can write it: a copy must have the intended key and bytes.

    Raises:
        UnreachableError: no broker answers, or an open transaction of a producer hides the end of a partition.
        HubError: a partition no longer holds the part that must be searched.
    """
    firsts: dict[TopicPartition, int] = {}
    for origin, one in sought.items():
        partition = TopicPartition(origin.topic, origin.partition)
        firsts[partition] = min(one.first, firsts.get(partition, one.first))
    wanted = {origin_header(origin)[1]: origin for origin in sought}
    found: dict[Place, int] = {}
    with log_reader(bootstrap) as reader:
        for header, record in _with_origin(reader, bootstrap, firsts):
            if (named := wanted.get(header)) is not None:
                one = sought[named]
                if record.offset >= one.first and (record.key, record.value) == (one.key, one.value):
                    found.setdefault(named, record.offset)
            if len(found) == len(sought):
                break
    return found


def _with_origin(
    reader: KafkaConsumer, bootstrap: str, firsts: Mapping[TopicPartition, int]
) -> Iterator[tuple[bytes, Any]]:
    """Read partitions up to their present ends; yield origin and record of every record that has an origin."""
    begins, ends = reader.beginning_offsets(list(firsts)), written_ends(bootstrap, list(firsts))
    left = {partition for partition, first in firsts.items() if first < ends[partition]}
    for partition in left:
        if begins[partition] > firsts[partition]:
            raise HubError(
                f"{partition.topic}/{partition.partition}: the log begins at {begins[partition]}, and an interrupted "
                f"redrive must search from {firsts[partition]} on; nobody can tell whether its records were sent"
            )
    reader.assign(sorted(left))
    for partition in left:
        reader.seek(partition, firsts[partition])
    heard_at = time.monotonic()
    while left:
        at = {partition: reader.position(partition) for partition in left}
        for records in reader.poll(timeout_ms=_POLL_MS).values():
            for record in records:
                if not is_damage(record) and (origin := dict(record.headers).get(HEADER_ORIGIN)):
                    yield origin, record
        if any(reader.position(partition) > at[partition] for partition in left):
            heard_at = time.monotonic()
        for partition in [one for one in left if reader.position(one) >= ends[one]]:
            left.discard(partition)
            reader.pause(partition)
        if time.monotonic() - heard_at > _QUIET_LIMIT_S:
            hidden = ", ".join(f"{one.topic}/{one.partition}/{reader.position(one)}" for one in sorted(left))
            raise UnreachableError(
                f"{hidden}: the log returns nothing more before its end: a producer's transaction is open there. Until "
                "it ends, nobody can tell what an interrupted redrive has sent; redrive again then"
            )
