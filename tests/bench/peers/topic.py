"""The topic of the race: filled once, and what must be in every target table when all of it is consumed."""

import asyncio
import io
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import fastavro
from aiokafka.partitioner import DefaultPartitioner

from hub.codec import wire
from hub.codec.catalogue import load_catalogue
from hub.embedded.locate import Endpoints
from tests.bench.support.events import SUBJECT, citizen_events, produce

PEOPLE_SHARE = 1.156
"""Of so many times the events the source draws its people: 43 % of the events then have a key of their own."""

_TAIL = 5_000


@dataclass(frozen=True, slots=True)
class Filled:
    """What the topic holds.

    Fields:
        events: records. distinct: different keys.
        last: PIN and version of each partition's last record, by partition.
        per_s: how fast the topic was filled.
    """

    events: int
    distinct: int
    last: dict[int, tuple[str, int]]
    per_s: float


class _Noting:
    """Passes events on and remembers their keys and the last of them."""

    def __init__(self, made: Iterator[tuple[bytes, bytes]]) -> None:
        self._made = made
        self.keys: set[bytes] = set()
        self.tail: deque[tuple[bytes, bytes]] = deque(maxlen=_TAIL)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for record in self._made:
            self.keys.add(record[0])
            self.tail.append(record)
            yield record


def fill_topic(places: Endpoints, source: str, events: int, partitions: int) -> Filled:
    """Produce the events and return what the topic holds."""
    noting = _Noting(islice(citizen_events(int(events * PEOPLE_SHARE), places.key_secret, source), events))
    started = time.monotonic()
    asyncio.run(produce(places.bootstrap, noting, partitions))
    seconds = time.monotonic() - started
    return Filled(events, len(noting.keys), _last(noting.tail, partitions), events / seconds)


def _last(tail: deque[tuple[bytes, bytes]], partitions: int) -> dict[int, tuple[str, int]]:
    choose, numbers = DefaultPartitioner(), list(range(partitions))
    schema = fastavro.parse_schema(dict(load_catalogue().latest(SUBJECT).schema))
    last: dict[int, tuple[str, int]] = {}
    for key, value in reversed(tail):
        number = choose(key, numbers, numbers)
        if number not in last:
            event = fastavro.schemaless_reader(io.BytesIO(value[wire.HEADER_BYTES :]), schema, None)
            assert isinstance(event, dict)
            last[number] = (str(event["pin"]), int(event["source_version"]))
    return last
