"""Benchmark of how fast a command starts: the commands that people type most, against a bare interpreter.

Each command runs several times, in turn with the others; the least of each counts, in processor time (the processor's
part of other programs is left out) and by the clock. Nothing runs in the folder that the commands look at, so they
import what they need, ask nobody and end.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.support.measured import arguments_of, keep, show

HUB = str(Path(sys.executable).with_name("hub"))
COMMANDS = {
    "interpreter": (sys.executable, "-c", "pass"),
    "hub --help": (HUB, "--help"),
    "hub status": (HUB, "status"),
    "hub ledger": (HUB, "ledger"),
    "hub trace --help": (HUB, "trace", "--help"),
}


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--rounds", type=int, default=10)
    options = arguments.parse_args()
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name, command in COMMANDS.items():
                took[name].append(_run(command, folder))
    least = {name: (min(cpu for cpu, _ in each), min(wall for _, wall in each)) for name, each in took.items()}
    bare_cpu, bare_wall = least["interpreter"]
    found = {
        name: {
            "processor_ms": 1e3 * cpu,
            "wall_ms": 1e3 * wall,
            "ratio": cpu / bare_cpu,
            "wall_ratio": wall / bare_wall,
        }
        for name, (cpu, wall) in least.items()
    }
    keep("start", found, options.results)
    rows = [
        (name, f"{1e3 * cpu:.0f} ms of processor, {1e3 * wall:.0f} ms", f"{cpu / bare_cpu:.1f} interpreters")
        for name, (cpu, wall) in least.items()
    ]
    show(found, rows, options.json)


def _run(command: Sequence[str], folder: str) -> tuple[float, float]:
    """Return processor time and time by the clock of one run, in seconds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment | {"HUB_DATA_DIR": folder}, capture_output=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


if __name__ == "__main__":
    main()
