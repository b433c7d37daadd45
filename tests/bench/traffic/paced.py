"""Produce citizen events at a steady rate, and note when each was handed to the producer: a source that is alive.

A process of its own. Every event is sent by itself at the moment it is due; the producer lingers 5 ms, as Kafka's own
does since 4.0, so that a few go in one request. Writes partition, offset, version and time of each (Parquet).
"""

import argparse
import asyncio
import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from tests.bench.support.events import Kind, events
from tests.bench.support.ground import SOURCE

LINGER_MS = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events a second, for how long, beginning with which source version."""

    rate: int
    seconds: float
    first_version: int


def main() -> None:
    """Produce, and write when each event was sent."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=int, default=2_000)
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--first-version", type=int, default=0)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--kind", type=Kind, default=Kind.CITIZEN)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    pace = Pace(options.rate, options.seconds, options.first_version)
    asyncio.run(produce(pace, options.kind, options.partitions, options.out))


async def produce(pace: Pace, kind: Kind, partitions: int, out: Path) -> None:
    """Send each event when it is due; those that come late are sent at once, so the rate holds on average."""
    count = int(pace.rate * pace.seconds)
    made = list(events(kind, count, os.environ["HUB_KEY_SECRET"], SOURCE, pace.first_version))
    choose, numbers = DefaultPartitioner(), list(range(partitions))
    placed = [(choose(key, numbers, numbers), key, value) for key, value in made]
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["HUB_KAFKA_BOOTSTRAP"],
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=LINGER_MS,
    )
    await producer.start()
    gc.disable()  # to walk through all that waits takes half a second, in which nothing is sent
    sent = [0] * count
    waiting = []
    begun = time.monotonic()
    for number, (partition, key, value) in enumerate(placed):
        while (wait_s := begun + number / pace.rate - time.monotonic()) > 0:
            await asyncio.sleep(max(wait_s, 0.001))
        sent[number] = time.monotonic_ns()
        waiting.append(await producer.send(kind.topic, value, key=key, partition=partition))
        if number % 64 == 0:
            await asyncio.sleep(0)
    records = await asyncio.gather(*waiting)
    await producer.stop()
    pl.DataFrame(
        {
            "partition": [record.partition for record in records],
            "offset": [record.offset for record in records],
            "version": range(pace.first_version, pace.first_version + count),
            "key": [key for _, key, _ in placed],
            "sent_ns": sent,
        }
    ).write_parquet(out)


if __name__ == "__main__":
    main()
