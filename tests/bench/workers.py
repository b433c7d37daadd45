"""Benchmark of several workers: the whole job by one, two and four of them on the embedded engine.

Each number of workers consumes the same topic into a warehouse of its own. With two cores for workers, broker and
database together this shows what two workers cost each other, not what two machines would do: docs/scaling.md.
"""

from typing import Any

from tests.bench.support.ground import Ground
from tests.bench.support.job import alternated, medians, whole_job
from tests.bench.support.measured import arguments_of, keep, progress, show


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4])
    options = arguments.parse_args()
    with Ground(options.partitions) as ground:
        ground.fill(options.events)

        def run(name: str, number: int) -> dict[str, Any]:
            warehouse = ground.warehouse(f"bench_{name}_{number}")
            found = whole_job(ground, warehouse, options.events, int(name.removeprefix("workers_")))
            progress.print(f"{name}: {found['events_per_s']:,} events/s")
            ground.drop(warehouse)
            return found

        runs = alternated([f"workers_{count}" for count in options.counts], options.rounds, run)
    rates = medians(runs)
    first = next(iter(rates.values()))
    ratios = {f"{name}_vs_first": round(rate / first, 2) for name, rate in rates.items()}
    found = {"events": options.events, "partitions": options.partitions, "runs": runs, "ratios": ratios}
    keep("workers", found, options.results)
    show(found, [(name, f"{rate:,.0f} events/s", "") for name, rate in rates.items()], options.json)


if __name__ == "__main__":
    main()
