"""Benchmark of a replay: the same events read again into a shadow, beside the live worker that merged them.

Each round has a warehouse of its own: a real ``hub worker`` merges every event, ends, and ``hub replay run`` rebuilds
the warehouse from the first of them. The worker's clock runs from the moment it has its partitions to the last event
consumed; the replay's from the moment its shadow is made to the last event read. The whole command, with the shadow and
the catching up, is given beside it. Rows are counted in both warehouses.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from tests.bench.support.ground import CONSUMED, PLACED, WORKER, Ground, Warehouse
from tests.bench.support.measured import arguments_of, keep, progress, show

HUB = (sys.executable, "-m", "hub.cli")
MADE = "SELECT count(*) FROM replay WHERE state <> 'PLANNED' AND state <> 'FILLING'"
READ = "SELECT coalesce(sum(read), 0) FROM replay_position"
TARGET = 0.8
TABLES = ("citizen_person_claim", "citizen_person_record")


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--partitions", type=int, default=4)
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        ground.fill(options.events)
        rounds = [one_round(ground, number, options.events) for number in range(options.rounds)]
    report(rounds, options)


def one_round(ground: Ground, number: int, events: int) -> dict[str, float]:
    """Let a worker merge every event, then replay them all; return both speeds."""
    warehouse = ground.warehouse(f"replay_{number}")
    try:
        worker = ground.start(f"worker-{number}", WORKER, warehouse.environment)
        began = warehouse.wait(PLACED, 1, worker)
        live_s = warehouse.wait(CONSUMED, events, worker) - began
        worker.stop()
        planned = json.loads(hub(warehouse, "plan", "--reason", "benchmark", "--json"))
        command = (*HUB, "replay", "run", str(planned["id"]), "--execute", "--reason", "benchmark", "--json")
        asked = time.monotonic()
        replay = ground.start(f"replay-{number}", command, warehouse.environment)
        made = warehouse.wait(MADE, 1, replay)
        replay_s = warehouse.wait(READ, events, replay) - made
        replay.finished(600)
        whole_s = time.monotonic() - asked
        check_rows(warehouse, planned["id"])
    finally:
        ground.drop(warehouse)
    found = {"live_per_s": events / live_s, "replay_per_s": events / replay_s, "command_s": whole_s}
    found["ratio"] = found["replay_per_s"] / found["live_per_s"]
    progress.print(f"round {number + 1}: live {found['live_per_s']:,.0f}/s, replay {found['replay_per_s']:,.0f}/s")
    return found


def hub(warehouse: Warehouse, *arguments: str) -> str:
    """Run a command of replays and return what it prints."""
    ran = subprocess.run([*HUB, "replay", *arguments], env=warehouse.environment, check=True, stdout=subprocess.PIPE)
    return ran.stdout.decode()


def check_rows(warehouse: Warehouse, number: int) -> None:
    """Stop when the rebuilt warehouse has not as many rows as the live one."""
    for table in TABLES:
        live, rebuilt = (
            warehouse.value(f"SELECT count(*) FROM {schema}.{table}") for schema in ("hub", f"replay_{number}")
        )
        if live != rebuilt:
            raise SystemExit(f"{table}: {live} rows in the live warehouse, {rebuilt} in the rebuilt one")


def report(rounds: Sequence[Mapping[str, float]], options: argparse.Namespace) -> None:
    """Print the figures and keep the raw results."""
    ratio = statistics.median(one["ratio"] for one in rounds)
    found = {"events": options.events, "partitions": options.partitions, "rounds": rounds, "ratio": ratio}
    keep("replay", found, options.results)
    named = (("live_per_s", "live, events/s"), ("replay_per_s", "replay, events/s"), ("command_s", "whole command, s"))
    rows = []
    for name, words in named:
        values = sorted(one[name] for one in rounds)
        rows.append((words, " / ".join(f"{value:,.0f}" for value in values), ""))
    rows.append(("replay / live, median", f"{ratio:.2f}", f">= {TARGET}"))
    show(found, rows, options.json)


if __name__ == "__main__":
    main()
