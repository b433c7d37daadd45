"""Measure service times: what preparing and committing a batch take, by its size, with nothing else going on.

One process prepares and commits batches as a worker does, on PostgreSQL alone. Fits ``fixed + per_event * events``: to
medians of the clock, and to means of the processor time, which is counted in hundredths of a second, of each part
(worker, decoding child, PostgreSQL's backend). These are the figures that ``tests.bench.simulate`` calculates with.
"""

import shutil
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from hub.config import Settings
from hub.embedded.engine import Engine as Embedded
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled
from tests.bench.support.measured import arguments_of, keep, progress, show
from tests.support.whole_world import Whole, open_whole

CLOCK = ("prepare", "commit")
PROCESSORS = ("worker_cpu", "child_cpu", "server_cpu")
PARTS = (*CLOCK, *PROCESSORS)
PROCEDURE = "1.001193"
_NO_KAFKA = "127.0.0.1:1"


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 2_000, 10_000])
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    embedded = Embedded(Settings(data_dir=folder, kafka_bootstrap=_NO_KAFKA))
    try:
        embedded.up(lambda line: progress.print(f"  {line}"))
        with GuardedDecoder(60.0, 4096) as decoder:
            world = open_whole(embedded.create_database("bench_service"), decoder)
            subjects = {name: run(world, decoder, name, options) for name in ("citizen.changed", "dossier.submitted")}
            world.engine.dispose()
    finally:
        embedded.down()
        shutil.rmtree(folder, ignore_errors=True)
    found = {"sizes": options.sizes, "rounds": options.rounds, "subjects": subjects}
    keep("service", found, options.results)
    rows = [
        (f"{subject} {part}", f"{fit['fixed_ms']:.1f} ms + {fit['per_event_us']:.1f} us an event", "")
        for subject, of in subjects.items()
        for part, fit in of["fits"].items()
    ]
    show(found, rows, options.json)


def run(world: Whole, decoder: GuardedDecoder, subject: str, options: Namespace) -> dict[str, Any]:
    """Return what is typical of each size, and the fits, for one subject."""
    world.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": PROCEDURE, "name": "Khai sinh"})
    version = 0
    medians: dict[int, dict[str, float]] = {}
    for size in options.sizes:
        taken: dict[str, list[float]] = {part: [] for part in PARTS}
        for number in range(options.rounds + 1):
            version += 1
            polled = world.polled(subject, [event_of(subject, person, version) for person in range(size)])
            for part, seconds in timed(world, decoder, polled).items():
                if number:
                    taken[part].append(seconds)
        of_clock = {part: statistics.median(taken[part]) for part in CLOCK}
        medians[size] = of_clock | {part: statistics.fmean(taken[part]) for part in PROCESSORS}
        progress.print(f"  {subject}, {size:,} events: prepared in {medians[size]['prepare'] * 1000:.0f} ms")
    fits = {part: fitted(list(medians), [medians[size][part] for size in medians]) for part in PARTS}
    return {"typical_s": medians, "fits": fits}


def event_of(subject: str, person: int, version: int) -> dict[str, Any]:
    """Return an event; every second one is about somebody new."""
    name = person if person % 2 else 1_000_000 * version + person
    if subject == "dossier.submitted":
        code = {"dossier_code": f"G22.99-251122-{name}", "procedure_code": PROCEDURE}
        return {"source_system": "dvcqg", "source_version": version, **code}
    pin = f"{name:012d}"
    return {
        "source_system": "dancu",
        "source_version": version,
        "pin": pin,
        "full_name": "Nguyễn An",
        "birth_year": 2099,
    }


def timed(world: Whole, decoder: GuardedDecoder, polled: Polled) -> dict[str, float]:
    """Prepare and commit; return seconds of the clock and of each part's processor."""
    assert decoder.child_id is not None
    with world.engine.connect() as connection:
        server = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    processes = {"worker_cpu": psutil.Process(), "child_cpu": psutil.Process(decoder.child_id)}
    processes["server_cpu"] = psutil.Process(server)
    before = {part: cpu_of(process) for part, process in processes.items()}
    began = time.monotonic()
    batch = world.preparer.prepare([polled])
    prepared = time.monotonic()
    world.store.commit(batch)
    committed = time.monotonic()
    used = {part: cpu_of(process) - before[part] for part, process in processes.items()}
    return {"prepare": prepared - began, "commit": committed - prepared, **used}


def cpu_of(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def fitted(sizes: Sequence[int], seconds: Sequence[float]) -> dict[str, float]:
    """Fit a line so that relative errors are least: small batches count as much as large ones."""
    weights = [1 / max(value, 1e-6) ** 2 for value in seconds]
    total = sum(weights)
    mean_size = sum(w * size for w, size in zip(weights, sizes, strict=True)) / total
    mean_s = sum(w * value for w, value in zip(weights, seconds, strict=True)) / total
    spread = sum(w * (size - mean_size) ** 2 for w, size in zip(weights, sizes, strict=True))
    both = sum(
        w * (size - mean_size) * (value - mean_s) for w, size, value in zip(weights, sizes, seconds, strict=True)
    )
    slope = max(0.0, both / spread) if spread else 0.0
    return {
        "fixed_ms": round(max(0.0, mean_s - slope * mean_size) * 1000, 3),
        "per_event_us": round(slope * 1_000_000, 3),
    }


if __name__ == "__main__":
    main()
