"""The hub's own commands as child processes of the demo; each is stopped with the demo, whatever happens.

A killed demo leaves a file with its children's process ids; the next demo on the same folder stops them.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hub.embedded.environment import command_environment
from hub.embedded.processes import reference, stop
from hub.embedded.state import ProcessRef
from hub.model.errors import HubError

STOP_LIMIT_S = 15.0
ASK_LIMIT_S = 300.0
_LOG_TAIL = 15


class ChildFailedError(HubError):
    """A command of the hub that the demo ran ended with an error."""

    code = "CHILD_FAILED"


class Child:
    """One running command; its output goes to its log file."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path, stays: bool) -> None:
        self.name = name
        self.stays = stays
        self.is_killed = False
        self.log = log
        self._process = process
        self.ref = reference(process.pid)

    def wait(self, limit_s: float) -> None:
        """Wait until it has ended by itself, with success.

        Raises:
            ChildFailedError: it failed, or is still running after the limit.
        """
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise ChildFailedError(f"{self.name} still runs after {limit_s:.0f} s; see {self.log}") from error
        if code != 0:
            raise ChildFailedError(f"{self.name} ended with code {code}:\n{self.log_tail()}")

    def check(self) -> None:
        """Raise ``ChildFailedError`` if it has failed, or has ended although it should stay."""
        code = self._process.poll()
        if code is not None and (code != 0 or self.stays):
            raise ChildFailedError(f"{self.name} ended with code {code}:\n{self.log_tail()}")

    def kill(self) -> None:
        """Kill it with SIGKILL, like a crash."""
        self.is_killed = True
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL:])


class Children:
    """The commands one demo has started."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = command_environment(environment)
        self._running: list[Child] = []

    def start(self, name: str, *arguments: str, stays: bool = False) -> Child:
        """Start ``hub <arguments>``.

        Args:
            name: for people and for its log file.
            arguments: of the command line.
            stays: it must not end by itself.
        """
        log = self._folder / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        child = Child(name, process, log, stays)
        self._running.append(child)
        _record(self._folder).write_text(json.dumps([(one.ref.pid, one.ref.started_at) for one in self._running]))
        return child

    def ask(self, *arguments: str, more: Mapping[str, str] | None = None) -> Any:
        """Run ``hub <arguments> --json`` to its end and return what it prints.

        Args:
            arguments: of the command line.
            more: settings for this command alone.

        Raises:
            ChildFailedError: it failed, or did not end in time.
        """
        command = [sys.executable, "-m", "hub.cli", *arguments, "--json"]
        environment = {**self._environment, **(more or {})}
        try:
            ended = subprocess.run(command, capture_output=True, env=environment, timeout=ASK_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise ChildFailedError(f"hub {' '.join(arguments)} still runs after {ASK_LIMIT_S:.0f} s") from error
        if ended.returncode != 0:
            said = ended.stderr.decode(errors="replace")[-2000:]
            raise ChildFailedError(f"hub {' '.join(arguments)} ended with code {ended.returncode}:\n{said}")
        return json.loads(ended.stdout)

    def check(self) -> None:
        """Raise ``ChildFailedError`` if any has failed."""
        for child in self._running:
            if not child.is_killed:
                child.check()

    def stop_all(self) -> None:
        """Stop whatever is still running, the newest first."""
        for child in reversed(self._running):
            child.stop()
        self._running.clear()
        _record(self._folder).unlink(missing_ok=True)


def stop_left_over(folder: Path) -> None:
    """Stop the children that a killed demo left running."""
    try:
        left: Iterable[tuple[int, float]] = json.loads(_record(folder).read_text())
    except (FileNotFoundError, ValueError):
        return
    for pid, started_at in left:
        stop(ProcessRef(pid, started_at), signal.SIGTERM, STOP_LIMIT_S)


def _record(folder: Path) -> Path:
    return folder / "children.json"
