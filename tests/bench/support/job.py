"""The whole job on a warehouse: from the moment all workers may begin to the moment the last event is consumed.

Workers start, join their group, and are held back where they store their first offsets, by a lock on the table; when
every one of them is a member the lock is let go and the clock starts. So neither the start of a process nor the
rebalance that a late one causes is measured.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from sqlalchemy import text

from tests.bench.support.ground import (
    CONSUMED,
    WORKER,
    Ground,
    Running,
    Warehouse,
    cpu_seconds,
    peak_memory_mb,
    resident_mb,
)

_SETTLE_S = 2.0
_START_LIMIT_S = 60.0


def whole_job(ground: Ground, warehouse: Warehouse, events: int, workers: int = 1) -> dict[str, Any]:
    """Consume a filled topic into a warehouse; return seconds, events/s, memory and processor time."""
    before = warehouse.value(CONSUMED)
    with started_together(ground, warehouse, workers) as running:
        began = time.monotonic()
        used = sum(cpu_seconds(one.process.pid) for one in running)
        resident = []
        while (done := warehouse.value(CONSUMED) - before) < events:
            for one in running:
                one.check()
            resident.append(resident_mb(running[0].process.pid))
            time.sleep(0.02 if done > events * 0.9 else 0.2)
        seconds = time.monotonic() - began
        used = sum(cpu_seconds(one.process.pid) for one in running) - used
        peak = max(peak_memory_mb(one.process.pid) for one in running)
    return {
        "seconds": round(seconds, 2),
        "events_per_s": round(events / seconds),
        "worker_cores": round(used / seconds, 2),
        "peak_memory_mb": peak,
        "median_memory_mb": round(statistics.median(resident), 1),
        "batches": warehouse.value("SELECT count(*) FROM batch"),
    }


@contextmanager
def started_together(ground: Ground, warehouse: Warehouse, count: int) -> Iterator[Sequence[Running]]:
    """Start workers and let them begin at once; they are stopped at the end of the context."""
    running: list[Running] = []
    try:
        with warehouse.engine.connect() as connection, connection.begin():
            connection.execute(text("LOCK TABLE log_partition IN EXCLUSIVE MODE"))
            for number in range(count):
                running.append(ground.start(f"{warehouse.name}_{number}", WORKER, environment_of(warehouse, number)))
            _wait_for_members(ground, warehouse, running)
        yield running
    finally:
        for one in running:
            one.stop()


def environment_of(warehouse: Warehouse, number: int) -> dict[str, str]:
    """Return the environment of one worker of several: a folder of its own."""
    return {**warehouse.environment, "HUB_DATA_DIR": f"{warehouse.environment['HUB_DATA_DIR']}_{number}"}


def _wait_for_members(ground: Ground, warehouse: Warehouse, running: Sequence[Running]) -> None:
    group = warehouse.environment["HUB_CONSUMER_GROUP"]
    client = KafkaAdminClient(bootstrap_servers=ground.places.bootstrap)
    try:
        deadline = time.monotonic() + _START_LIMIT_S
        while members_of(client, group) < len(running):
            for one in running:
                one.check()
            if time.monotonic() > deadline:
                raise SystemExit(f"the workers did not become {len(running)} members of {group}")
            time.sleep(0.2)
    finally:
        client.close()
    time.sleep(_SETTLE_S)


def members_of(client: KafkaAdminClient, group: str) -> int:
    """Return how many members a consumer group has; a group that is not there yet has none."""
    try:
        return len(client.describe_groups([group])[group].get("members", ()))
    except KafkaError:
        return 0


def medians(runs: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Return each job's median rate."""
    return {name: statistics.median(run["events_per_s"] for run in of) for name, of in runs.items()}


def alternated(names: Sequence[str], rounds: int, run: Callable[[str, int], dict[str, Any]]) -> dict[str, Any]:
    """Run each job once a round, one after another."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            runs[name].append(run(name, number))
    return runs
