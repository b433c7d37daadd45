"""Note when golden records reach a consumer of the portal topic, committed ones only.

A process of its own. Records are kept as they come and decoded at the end, on SIGTERM: key, version of the source whose
claim they hold, and time (Parquet).
"""

import argparse
import asyncio
import os
import signal
import time
from pathlib import Path

import polars as pl
from aiokafka import AIOKafkaConsumer

from hub.codec.decode import decode
from hub.topology import record_topics

Arrived = tuple[bytes, bytes | None, int]


def main() -> None:
    """Consume until told to stop."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    arrived = asyncio.run(consume(os.environ["HUB_KAFKA_BOOTSTRAP"], record_topics()["citizen"]))
    rows = [(key, version, now) for key, value, now in arrived if (version := version_in(value)) is not None]
    columns = {"key": pl.Binary, "version": pl.Int64, "arrived_ns": pl.Int64}
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(options.out)


async def consume(bootstrap: str, topic: str) -> list[Arrived]:
    """Return what arrived until SIGTERM: key, value, time."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="latest"
    )
    await consumer.start()
    arrived: list[Arrived] = []
    try:
        while not ended.is_set():
            polled = await consumer.getmany(timeout_ms=200)
            now = time.monotonic_ns()
            arrived += [(record.key, record.value, now) for records in polled.values() for record in records]
    finally:
        await consumer.stop()
    return arrived


def version_in(value: bytes | None) -> int | None:
    """Return the source's version that a record holds; None for a tombstone."""
    if value is None:
        return None
    _, fields = decode(value)
    return int(fields["person"]["source_version"]) if fields.get("person") else None


if __name__ == "__main__":
    main()
