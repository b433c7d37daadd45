"""``make faults-seen``: run every case on an engine of its own and compare what is seen with what is expected.

Cases that need no more than an engine, or a worker beside it, share one; a case that may leave its engine in a bad
state has one for itself. Exit code 1 when a case is not met.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from hub.cli.shared.screen import plain, say, screen
from tests.faults.expected import CASES, ROOT, Case, all_cases

HUB = (sys.executable, "-m", "hub.cli")
_START_S = 300.0
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a case showed: what is missed (nothing: it is met), how long it took, all that it printed."""

    case: Case
    missed: tuple[str, ...]
    seconds: float
    output: str


class Ground:
    """An engine in a folder of its own, with its tables and topics, and a worker while one is wanted."""

    def __init__(self, folder: Path, patience: float) -> None:
        self.folder = folder
        self.patience = patience
        self.environment = os.environ | {
            "CASE_PATIENCE": str(patience),
            "HUB_DATA_DIR": str(folder),
            "HUB_POLICY": str(CASES / "policy.toml"),
            "CASE_CLONE": str(ROOT),
            "HUB_GONE_AFTER_S": "3600",  # cases stop their workers: that none runs is no fault of theirs
        }
        self._worker: subprocess.Popen[bytes] | None = None

    def hub(self, *words: str) -> None:
        """Run a command that must end well."""
        ran = subprocess.run([*HUB, *words], env=self.environment, capture_output=True, text=True, timeout=_START_S)
        if ran.returncode:
            raise AssertionError(f"hub {' '.join(words)}: {ran.returncode}\n{ran.stdout}{ran.stderr}")

    def start(self) -> None:
        """Start the engine, make tables and topics."""
        self.hub("up")
        self.hub("db", "migrate")
        self.hub("topics", "ensure", "--execute")

    def ensure_worker(self, is_wanted: bool) -> None:
        """Let a worker run, or none."""
        if not is_wanted:
            self.stop_worker()
            return
        if self._worker is not None and self._worker.poll() is None:
            return
        log = self.folder / "worker.log"
        with log.open("wb") as file:
            self._worker = subprocess.Popen([*HUB, "worker"], env=self.environment, stdout=file, stderr=file)
        deadline = time.monotonic() + _START_S
        while b"placed" not in log.read_bytes():
            if self._worker.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the worker did not start\n{log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.2)

    def stop_worker(self) -> None:
        """Stop the worker if one runs."""
        if self._worker is not None and self._worker.poll() is None:
            self._worker.send_signal(signal.SIGTERM)
            try:
                self._worker.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        self._worker = None

    def run(self, case: Case) -> Seen:
        """Run a case's script and compare."""
        self.ensure_worker(case.needs == "worker")
        began = time.monotonic()
        with tempfile.TemporaryFile() as file:
            script = [sys.executable, str(CASES / case.name / "repro.py")]
            process = subprocess.Popen(script, env=self.environment, stdout=file, stderr=file, start_new_session=True)
            try:
                code: int | None = process.wait(case.timeout_s * self.patience)
            except subprocess.TimeoutExpired:
                code = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            file.seek(0)
            output = file.read().decode("utf-8", "replace")
        return Seen(case, tuple(case.missed(output, code)), time.monotonic() - began, output)


@contextlib.contextmanager
def ground(patience: float) -> Iterator[Ground]:
    """Yield a running ground, and leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="hub-faults-"))
    made = Ground(folder, patience)
    try:
        made.start()
        yield made
    finally:
        made.stop_worker()
        subprocess.run([*HUB, "down"], env=made.environment, capture_output=True, timeout=_START_S)
        shutil.rmtree(folder, ignore_errors=True)


def groups(cases: Sequence[Case]) -> list[list[Case]]:
    """Return which cases share an engine: those without a worker first, then those with one; the others alone."""
    shared = [case for needs in ("engine", "worker") for case in cases if case.needs == needs]
    return [group for group in (shared, *([case] for case in cases if case.needs == "own")) if group]


def see_all(cases: Sequence[Case], out: Path, patience: float) -> list[Seen]:
    """Run cases; each one's output goes to a file of its name."""
    found = []
    for group in groups(cases):
        with ground(patience) as here:
            for case in group:
                seen = here.run(case)
                (out / f"{case.name}.txt").write_text(seen.output, "utf-8")
                say(f"{case.name}: {'met' if not seen.missed else 'NOT MET'} ({seen.seconds:.0f} s)", error=True)
                found.append(seen)
    return sorted(found, key=lambda seen: seen.case.name)


def show(found: Sequence[Seen], out: Path) -> None:
    """Print the table of what was expected and seen."""
    table = Table("case", "expected", "seen", "met", box=None, pad_edge=False)
    for one in found:
        seen = "; ".join(f"not: {what}" for what in one.missed) or "as expected"
        table.add_row(one.case.name, plain(one.case.expected), plain(seen), "no" if one.missed else "yes")
    screen().print(table)
    say(f"{sum(not one.missed for one in found)} of {len(found)} cases met; what each printed is in {out}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are named, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.seen", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="number of a case, e.g. 01; none: all")
    parser.add_argument("--out", type=Path, help="folder for what each case prints; else a new one")
    parser.add_argument("--patience", type=float, default=1.0, help="how many times longer to wait, on a slow machine")
    options = parser.parse_args(arguments)
    cases = all_cases()
    unknown = set(options.cases) - {case.number for case in cases}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    out = options.out or Path(tempfile.mkdtemp(prefix="hub-faults-seen-"))
    out.mkdir(parents=True, exist_ok=True)
    wanted = [case for case in cases if not options.cases or case.number in options.cases]
    found = see_all(wanted, out, options.patience)
    show(found, out)
    return 1 if any(one.missed for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
