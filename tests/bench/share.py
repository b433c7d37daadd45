"""Benchmark of the way out: golden records from the warehouse to the portal's topic, beside the worker's way in.

Every event is about another person, so one event gives one record. Each round has a warehouse of its own: ``worker``
consumes the topic while no share runs, ``share`` then publishes all of it while no worker runs; on a second warehouse
both run at once, ``whole_way``: from the event on its topic to the record on the portal's. Nobody's start is measured:
workers are held back by a lock on ``log_partition``, share by one on ``set_aside``. At the end the portal's topic has a
record for each event.
"""

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import text

from hub.model.entities import CITIZEN
from hub.topology import record_topic
from tests.bench.support.ground import SHARE, Ground, Running, Warehouse, cpu_seconds, peak_memory_mb
from tests.bench.support.job import alternated, medians, started_together, whole_job
from tests.bench.support.measured import arguments_of, keep, progress, show

TARGETS = {"share_vs_worker": ">= 0.50", "whole_way_vs_worker": ">= 0.50", "share_us_per_record": "<= 25"}
TOPIC = record_topic(CITIZEN)
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'set_aside'::regclass"
SHARED = (
    "SELECT coalesce(sum(position.next_offset - log.first_offset), 0) "
    "FROM log_partition log JOIN share_position position ON position.log = log.id"
)


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--partitions", type=int, default=4)
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        ground.fill(options.events, all_new=True)
        runs = run(ground, options)
    found = {"events": options.events, "partitions": options.partitions, "runs": runs, "ratios": ratios_of(runs)}
    keep("share", found, options.results)
    show(found, table_of(runs, found["ratios"]), options.json)


def run(ground: Ground, options: Namespace) -> dict[str, Any]:
    """Run the three figures once a round."""
    warehouses: dict[int, Warehouse] = {}

    def run_one(name: str, number: int) -> dict[str, Any]:
        if name == "worker":
            warehouses[number] = ground.warehouse(f"bench_share_{number}")
            found = whole_job(ground, warehouses[number], options.events)
        elif name == "share":
            found = way_out(ground, warehouses[number], options.events)
            ground.drop(warehouses.pop(number))
        else:
            warehouse = ground.warehouse(f"bench_whole_{number}")
            found = whole_way(ground, warehouse, options.events)
            ground.drop(warehouse)
        progress.print(f"{name:>10} {number + 1}/{options.rounds}: {found['events_per_s']:>9,.0f}/s")
        return found

    return alternated(["worker", "share", "whole_way"], options.rounds, run_one)


def way_out(ground: Ground, warehouse: Warehouse, events: int) -> dict[str, Any]:
    """Publish what a warehouse holds; return seconds, records/s and processor time."""
    before = records_on_topic(ground)
    with share_held_back(ground, warehouse) as (share, let_go):
        used = cpu_of(ground, share)
        began = let_go()
        seconds = warehouse.wait(SHARED, events, share) - began
        used = [after - first for after, first in zip(cpu_of(ground, share), used, strict=True)]
        memory_mb = peak_memory_mb(share.process.pid)
    records = records_on_topic(ground) - before
    if records < events:
        raise SystemExit(f"{records:,} records on {TOPIC} for {events:,} events")
    return {
        "seconds": round(seconds, 2),
        "events_per_s": round(events / seconds),
        "share_us_per_record": round(used[0] / events * 1e6, 1),
        "servers_us_per_record": round(used[1] / events * 1e6, 1),
        "peak_memory_mb": memory_mb,
    }


def whole_way(ground: Ground, warehouse: Warehouse, events: int) -> dict[str, Any]:
    """Let worker and share begin at once; return the time until every event's record is on the portal's topic."""
    with (
        share_held_back(ground, warehouse) as (share, let_go),
        started_together(ground, warehouse, 1),
    ):
        began = let_go()
        seconds = warehouse.wait(SHARED, events, share) - began
    return {"seconds": round(seconds, 2), "events_per_s": round(events / seconds)}


@contextmanager
def share_held_back(ground: Ground, warehouse: Warehouse) -> Iterator[tuple[Running, Any]]:
    """Start share; it waits where it begins, until the function that is yielded is called and returns the time."""
    connection = warehouse.engine.connect()
    holding = connection.begin()
    connection.execute(text("LOCK TABLE set_aside IN ACCESS EXCLUSIVE MODE"))
    share = ground.start(f"{warehouse.name}_share", SHARE, warehouse.environment)

    def let_go() -> float:
        holding.rollback()
        return time.monotonic()

    try:
        warehouse.wait(WAITING, 1, share)
        yield share, let_go
    finally:
        connection.close()
        share.stop()


def cpu_of(ground: Ground, share: Running) -> list[float]:
    """Return the processor seconds of share, and of the servers."""
    servers = [pid for pids in ground.servers().values() for pid in pids]
    return [cpu_seconds(share.process.pid), sum(cpu_seconds(pid) for pid in servers)]


def records_on_topic(ground: Ground) -> int:
    """Return how many offsets the portal's topic has; the marker that ends a transaction takes one, too."""
    consumer = KafkaConsumer(bootstrap_servers=ground.places.bootstrap)
    ends = consumer.end_offsets([TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC)])
    consumer.close()
    return int(sum(ends.values()))


def ratios_of(runs: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Return the ratios of medians within the run, and share's median processor time for a record."""
    rates = medians(runs)
    used = sorted(one["share_us_per_record"] for one in runs["share"])
    worker = sorted(one["worker_cores"] / one["events_per_s"] * 1e6 for one in runs["worker"])
    return {
        "share_vs_worker": round(rates["share"] / rates["worker"], 3),
        "whole_way_vs_worker": round(rates["whole_way"] / rates["worker"], 3),
        "share_us_per_record": used[len(used) // 2],
        "worker_us_per_event": round(worker[len(worker) // 2], 1),
    }


def table_of(runs: dict[str, list[dict[str, Any]]], ratios: dict[str, float]) -> Sequence[tuple[str, str, str]]:
    """Return the figures as rows."""
    rows = []
    for name, found in runs.items():
        rates = sorted(one["events_per_s"] for one in found)
        middle = medians({name: found})[name]
        rows.append((f"{name}, least / median / most", f"{rates[0]:,.0f} / {middle:,.0f} / {rates[-1]:,.0f} /s", ""))
    return rows + [(name, f"{ratio:,.2f}", TARGETS.get(name, "")) for name, ratio in ratios.items()]


if __name__ == "__main__":
    main()
