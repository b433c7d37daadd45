"""Benchmark of a full warehouse: the whole job into an empty one, one with millions of people, one with conflicts open.

``people``: so many people are there already, among them a share of those the events speak of. ``conflicts``: ten times
as many people as conflicts are there, one in ten contradicted by a second source, those the events speak of as often
as others: every batch touches some. ``empty`` is run before and after: an A/A control. Targets: 0.7 and 0.8 of empty.
"""

from argparse import Namespace
from typing import Any
from uuid import UUID

from tests.bench.support.events import citizen_events
from tests.bench.support.ground import SOURCE, Ground
from tests.bench.support.job import medians, whole_job
from tests.bench.support.measured import arguments_of, keep, progress, show
from tests.bench.support.preload import preload

TARGETS = {"people_vs_empty": 0.7, "conflicts_vs_empty": 0.8}
_CONFLICT_SHARE = 10
"""One in so many people of the warehouse with conflicts is in one."""


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--people", type=int, default=200_000)
    arguments.add_argument("--conflicts", type=int, default=2_000)
    arguments.add_argument("--known", type=float, default=0.5, help="share of the events' people who are there already")
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        ground.fill(options.events)
        runs = run(ground, options)
    rates = medians(runs)
    ratios = {f"{name}_vs_empty": round(rate / rates["empty"], 2) for name, rate in rates.items() if name != "empty"}
    given = {name: getattr(options, name) for name in ("events", "people", "conflicts", "known", "partitions")}
    found = {**given, "runs": runs, "ratios": ratios}
    keep("preloaded", found, options.results)
    rows = [(name, f"{rate:,.0f} events/s", "") for name, rate in rates.items()]
    rows += [(name, f"{ratio:.2f}", f">= {TARGETS[name]}") for name, ratio in ratios.items()]
    show(found, rows, options.json)


def run(ground: Ground, options: Namespace) -> dict[str, list[dict[str, Any]]]:
    """Return the runs by name."""
    keys = keys_of_events(options.events, ground.places.key_secret)
    runs: dict[str, list[dict[str, Any]]] = {"empty": [], "people": [], "conflicts": []}
    filled = {
        "empty": (0, 0),
        "people": (options.people, 0),
        "conflicts": (options.conflicts * _CONFLICT_SHARE, options.conflicts),
    }
    for number in range(options.rounds):
        for place, name in enumerate(("empty", "people", "conflicts", "empty")):
            people, conflicts = filled[name]
            warehouse = ground.warehouse(f"bench_{name}_{number}_{place}")
            known = keys[: min(int(len(keys) * options.known), people)]
            seconds = preload(warehouse.engine, people, known, conflicts) if people else 0.0
            found = whole_job(ground, warehouse, options.events)
            open_now = warehouse.value("SELECT count(*) FROM conflict WHERE closed_at IS NULL")
            runs[name].append({**found, "preload_s": round(seconds, 1), "conflicts_open_after": open_now})
            progress.print(f"{name}: {found['events_per_s']:,} events/s")
            ground.drop(warehouse)
    return runs


def keys_of_events(events: int, secret: str) -> list[UUID]:
    """Return the keys of the events' people, in an order that has nothing to do with either."""
    keys = {key for key, _ in citizen_events(events, secret, SOURCE)}
    return [UUID(bytes=key) for key in sorted(keys, key=lambda key: key[::-1])]


if __name__ == "__main__":
    main()
