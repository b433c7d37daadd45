"""The race: the hub's jobs and Debezium's JDBC sink on the same broker, PostgreSQL and topic, in turn.

Participants: ``sink_*`` (Debezium JDBC sink in Kafka Connect; every setting once, then the two best), ``whole_job_1``
and ``whole_job_2`` (one ``hub worker``, two), ``newest_row`` (the hub asked for only what the sink does), ``limit``
(consume, decode, COPY). ``tests.bench.peers.jobs`` says how a run is timed. With ``source``, the snapshot of a source
table follows: the hub's connector against Debezium's. Run with ``make bench-peers``.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import hub.embedded.kafka
from hub.config import load_settings
from tests.bench.peers.fetch import fetch_programs
from tests.bench.peers.jobs import Field, run_hub, run_limit, run_newest_row, run_sink
from tests.bench.peers.registry import RegistryStub
from tests.bench.peers.sink import SCREENED
from tests.bench.peers.topic import fill_topic
from tests.bench.support.ground import SOURCE, Ground
from tests.bench.support.measured import keep, progress

PARTITIONS = 4
FINALISTS = 2
PARTS = ("sink", "whole_job", "newest_row", "limit")
REBALANCE_DELAY_MS = 3_000
"""A broker's own default: members that start together get their partitions together."""

Runs = dict[str, list[dict[str, Any]]]
Run = Callable[[str], dict[str, Any]]


def main() -> None:
    """Run the race, print its table, keep its figures."""
    options = _options()
    with_production_delay()
    with Ground(PARTITIONS) as ground, RegistryStub() as registry:
        programs = fetch_programs(load_settings(), lambda line: progress.print(f"  {line}"))
        filled = fill_topic(ground.places, SOURCE, options.events, PARTITIONS)
        progress.print(f"{filled.events:,} events, {filled.distinct:,} keys, filled at {filled.per_s:,.0f}/s")
        field = Field(ground, filled, programs, registry.url)
        screened = _screening(field) if "sink" in options.only else {}
        runs = _rounds(_participants(field, options.only, best_of(screened)), options.rounds)
    figures = summary(runs)
    found = {
        "events": filled.events,
        "keys": filled.distinct,
        "partitions": PARTITIONS,
        "screening": screened,
        "runs": runs,
        "events_per_s": figures,
        "ratios": ratios(figures),
    }
    keep("peers", found)
    show(found)


def with_production_delay() -> None:
    """Let the broker wait for a group's members as a broker does that is not told otherwise; ours hurries for tests."""
    usual = hub.embedded.kafka.configuration

    def patient(broker_port: int, controller_port: int, log_dir: Path) -> Mapping[str, str]:
        return {
            **usual(broker_port, controller_port, log_dir),
            "group.initial.rebalance.delay.ms": str(REBALANCE_DELAY_MS),
        }

    hub.embedded.kafka.configuration = patient


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the participants")
    return arguments.parse_args()


def _screening(field: Field) -> Runs:
    """Try every setting of the sink once; one that fails says why and is out."""
    found: Runs = {}
    for settings in SCREENED:
        found[settings.name] = [_told(settings.name, 1, 1, partial(run_sink, field, settings), "screening")]
    return found


def best_of(screened: Runs) -> tuple[str, ...]:
    """Return the names of the quickest settings."""
    quick = {name: runs[0]["events_per_s"] for name, runs in screened.items() if "events_per_s" in runs[0]}
    return tuple(sorted(quick, key=lambda name: -quick[name])[:FINALISTS])


def _participants(field: Field, only: Sequence[str], finalists: Sequence[str]) -> dict[str, Run]:
    found: dict[str, Run] = {}
    if "limit" in only:
        found["limit"] = partial(run_limit, field)
    if "newest_row" in only:
        found["newest_row"] = partial(run_newest_row, field)
    if "whole_job" in only:
        found |= {f"whole_job_{workers}": partial(run_hub, field, workers) for workers in (1, 2)}
    return found | {s.name: partial(run_sink, field, s) for s in SCREENED if s.name in finalists}


def _rounds(participants: Mapping[str, Run], rounds: int) -> Runs:
    runs: Runs = {name: [] for name in participants}
    for number in range(1, rounds + 1):
        for name, run in participants.items():
            runs[name].append(_told(name, number, rounds, run, str(number)))
    return runs


def _told(name: str, number: int, rounds: int, run: Run, label: str) -> dict[str, Any]:
    try:
        found = run(label)
    except SystemExit as problem:
        found = {"problem": str(problem)}
    rate = f"{found['events_per_s']:>9,} events/s" if "events_per_s" in found else found["problem"]
    if found.get("rows_with_wrong_event_id"):
        rate += f" ({found['rows_with_wrong_event_id']:,} rows hold another event id than was sent)"
    progress.print(f"{name:>18} {number}/{rounds}: {rate}")
    return found


def summary(runs: Runs) -> dict[str, dict[str, float]]:
    """Return minimum, median and maximum of each participant that finished its runs."""
    figures = {}
    for name, of in runs.items():
        rates = sorted(run["events_per_s"] for run in of if "events_per_s" in run)
        if rates:
            figures[name] = {"min": rates[0], "median": statistics.median(rates), "max": rates[-1]}
    return figures


def ratios(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the ratios of medians, each where both sides ran; ``sink`` is the best of its settings."""
    median = {name: values["median"] for name, values in figures.items()}
    best = {
        part: max((rate for name, rate in median.items() if name.startswith(part)), default=None)
        for part in ("sink", "whole_job", "newest_row", "limit")
    }
    pairs = (("whole_job", "sink"), ("newest_row", "sink"), ("whole_job", "limit"), ("newest_row", "limit"))
    found = {f"{mine}_vs_{theirs}": (best[mine], best[theirs]) for mine, theirs in pairs}
    found["whole_job_1_vs_sink"] = (median.get("whole_job_1"), best["sink"])
    found["whole_job_2_vs_1"] = (median.get("whole_job_2"), median.get("whole_job_1"))
    return {name: round(mine / theirs, 3) for name, (mine, theirs) in found.items() if mine and theirs}


def show(found: Mapping[str, Any]) -> None:
    """Print the table and the ratios."""
    console = Console(highlight=False)
    table = Table("participant", "min/s", "median/s", "max/s", "memory MB", "CPU s", "servers' CPU s", box=None)
    for name, values in found["events_per_s"].items():
        runs = [run for run in found["runs"][name] if "events_per_s" in run]
        memory = max(run["peak_memory_mb"] for run in runs)
        spent = [statistics.median(run[key] for run in runs) for key in ("cpu_s", "servers_cpu_s")]
        rates = [f"{values[key]:,.0f}" for key in ("min", "median", "max")]
        table.add_row(name, *rates, f"{memory:,.0f}", *(f"{seconds:.1f}" for seconds in spent))
    console.print(table)
    for name, ratio in found["ratios"].items():
        console.print(f"{name} = {ratio:.2f}")


if __name__ == "__main__":
    main()
