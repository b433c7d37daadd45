"""Simulate workers and PostgreSQL at sizes that no single machine has, with service times as measured on one.

Behind docs/scaling.md. Service times are those of the newest results of ``tests.bench.service``, and of
``tests.bench.recode`` for re-coding; the model is in ``tests.bench.simulation``. Processors are taken to be as quick as
the measured one, and PostgreSQL's to share nothing but the queue: what is simulated is a bound from above.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.simulation import Cost, Load, Site, percentile, saturation, simulate
from tests.bench.support.measured import arguments_of, keep, newest, put_into, show


def measured_costs(folder: Path, subject: str) -> tuple[Cost, Cost, dict[str, float]]:
    """Return the costs of preparing and committing, and the processor time of an event by part, as measured."""
    found = newest("service", folder)
    if found is None:
        raise SystemExit("no results of tests.bench.service yet: run it first")
    fits = found["subjects"][subject]["fits"]
    cost = {part: Cost(fit["fixed_ms"] / 1e3, fit["per_event_us"] / 1e6) for part, fit in fits.items()}
    processors = {part: fits[part]["per_event_us"] for part in ("worker_cpu", "child_cpu", "server_cpu")}
    return cost["prepare"], cost["commit"], processors


def main() -> None:
    """Simulate what docs/scaling.md speaks of."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--into", type=Path, help="document in which to replace the figures between its two marks")
    options = arguments.parse_args()
    prepare, commit, processors = measured_costs(options.results, "dossier.submitted")
    dossiers = Site(prepare, commit)
    prepare_citizens, commit_citizens, processors_citizens = measured_costs(options.results, "citizen.changed")
    citizens = Site(prepare_citizens, commit_citizens)
    found: dict[str, Any] = {
        "costs": {"dossier": _said(dossiers), "citizen": _said(citizens)},
        "processor_us_per_event": {"dossier": processors, "citizen": processors_citizens},
        "growth": growth(citizens),
        "day": day(dossiers),
        "catch_up": catch_up(dossiers),
        "citizens": load_of_citizens(citizens),
        "night": night(options.results),
    }
    keep("simulate", found, options.results)
    if options.into is not None:
        put_into(options.into, "simulated", pages_of(found))
    show(found, rows_of(found), options.json)


def _said(site: Site) -> dict[str, float]:
    return {
        "prepare_fixed_ms": site.prepare.fixed_s * 1e3,
        "prepare_us": site.prepare.per_event_s * 1e6,
        "commit_fixed_ms": site.commit.fixed_s * 1e3,
        "commit_us": site.commit.per_event_s * 1e6,
    }


def growth(site: Site) -> list[dict[str, float]]:
    """Return the events a second for sites of several sizes."""
    sizes: Sequence[tuple[int, int, int, int]] = (
        (1, 12, 4, 1),
        (2, 12, 4, 1),
        (4, 12, 4, 1),
        (4, 12, 8, 1),
        (8, 24, 16, 1),
        (8, 24, 16, 2),
        (16, 48, 16, 4),
    )
    return [
        {
            "workers": workers,
            "partitions": partitions,
            "processors": processors,
            "shards": shards,
            "events_per_s": round(
                saturation(replace(site, workers=workers, partitions=partitions, processors=processors, shards=shards))
            ),
        }
        for workers, partitions, processors, shards in sizes
    ]


def day(site: Site) -> dict[str, float]:
    """Return latencies of a day's busiest hour: 3.5 million events, 150 a second, ten times that for two minutes."""
    load = Load((0.0, 300.0, 420.0), (150.0, 1_500.0, 150.0))
    run = simulate(site, load, 900.0)
    return {
        "p50_ms": percentile(run, 0.5),
        "p99_ms": percentile(run, 0.99),
        "events_per_batch": run.events / run.batches,
    }


def catch_up(site: Site) -> list[dict[str, float | None]]:
    """Return how long 34 provinces' half day takes (20,000 events each, all at once) while the day goes on."""
    load = Load((0.0,), (150.0,), 34 * 20_000.0)
    rows = []
    for workers, processors in ((1, 4), (2, 4), (4, 8)):
        run = simulate(replace(site, workers=workers, processors=processors), load, 300.0)
        rows.append({"workers": workers, "processors": processors, "caught_up_s": run.caught_up_s})
    return rows


def load_of_citizens(site: Site) -> list[dict[str, float]]:
    """Return how long the first reading of 100 million citizens takes: five events each."""
    events = 5 * 100e6
    return [
        {**row, "hours": round(events / row["events_per_s"] / 3600, 2)}
        for row in growth(site)
        if (row["workers"], row["processors"]) in {(1, 4), (4, 8), (8, 16), (16, 16)}
    ]


def night(folder: Path) -> list[dict[str, float]]:
    """Return how long re-coding 100 million residences takes, in so many parts at a time, one processor each."""
    found = newest("recode", folder)
    if found is None:
        raise SystemExit("no results of tests.bench.recode yet: run it first")
    per_row = found["recode_cpu_s"] / found["appended"]
    return [
        {"at_a_time": parts, "us_per_row": round(per_row * 1e6, 2), "hours": round(100e6 * per_row / parts / 3600, 2)}
        for parts in (1, 4, 16)
    ]


def pages_of(found: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table, with the service times they come from."""
    lines = ["| service times | prepare | commit |", "|---|---|---|"]
    for name, cost in found["costs"].items():
        parts = [
            f"{cost[f'{of}_fixed_ms']:.1f} ms + {cost[f'{of}_us']:.1f} µs an event" for of in ("prepare", "commit")
        ]
        lines.append(f"| {name} | {' | '.join(parts)} |")
    lines += ["", "| simulated | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {figure} |" for what, figure, _ in rows_of(found))])


def rows_of(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the figures as rows."""
    rows = [
        (
            f"{row['workers']} workers, {row['processors']} processors on each of {row['shards']} shards",
            f"{row['events_per_s']:,} events/s",
            "",
        )
        for row in found["growth"]
    ]
    busiest = found["day"]
    rows.append(("busiest hour: latency p50, p99", f"{busiest['p50_ms']:,.0f} ms, {busiest['p99_ms']:,.0f} ms", ""))
    rows += [
        (f"680,000 waiting, {row['workers']} workers", f"caught up in {row['caught_up_s'] or 0:.0f} s", "")
        for row in found["catch_up"]
    ]
    rows += [
        (f"500,000,000 events, {row['workers']} workers, {row['shards']} shards", f"{row['hours']} h", "")
        for row in found["citizens"]
    ]
    rows += [
        (f"100,000,000 residences, {row['at_a_time']} at a time", f"{row['hours']} h", "") for row in found["night"]
    ]
    return rows


if __name__ == "__main__":
    main()
