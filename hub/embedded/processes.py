"""Child processes that outlive their parent: each in its own session, identified by pid and start time."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hub.embedded.environment import server_environment
from hub.embedded.errors import EngineError
from hub.embedded.state import ProcessRef

_START_TIME_SLACK_S = 0.05


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server: command, log file, variables besides the inherited ones, its account (None: ours)."""

    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: tuple[int, int] | None = None


def start(launch: Launch) -> ProcessRef:
    """Start a process that survives our end and a Ctrl-C at our terminal; its output goes to its log file."""
    uid, gid = launch.account or (None, None)
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    with launch.log.open("ab") as log:
        process = subprocess.Popen(
            list(launch.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=server_environment(launch.environment),
            cwd="/",
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    ref = reference(process.pid)
    # The process must outlive this object, which would otherwise warn that it is still running.
    process.returncode = 0
    return ref


def reference(pid: int) -> ProcessRef:
    """Return the reference of a running process; for one that is already gone, a start time that matches nothing."""
    try:
        return ProcessRef(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return ProcessRef(pid, 0.0)


def is_running(ref: ProcessRef | None) -> bool:
    """Tell whether this very process still runs; a zombie, or another process with its pid, does not count."""
    return _find(ref) is not None


def stop(ref: ProcessRef | None, first: signal.Signals, limit_s: float) -> bool:
    """Ask the process to end with signal ``first`` and kill it after ``limit_s``; tell whether it ended by itself.

    Raises:
        EngineError: it still runs after SIGKILL, or belongs to another user.
    """
    process = _find(ref)
    if process is None or ref is None:
        return True
    try:
        process.send_signal(first)
        try:
            process.wait(limit_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(limit_s)
            return False
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied as error:
        raise EngineError(f"process {ref.pid} belongs to another user; stop it as that user") from error
    except psutil.TimeoutExpired as error:
        raise EngineError(f"process {ref.pid} does not end, not even by SIGKILL") from error
    return True


def find_by_argument(argument: str) -> ProcessRef | None:
    """Find a process with ``argument`` on its command line, for a server whose state was never written."""
    for process in psutil.process_iter(["cmdline", "status", "create_time"]):
        if argument in (process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE:
            return ProcessRef(process.pid, process.info["create_time"])
    return None


def _find(ref: ProcessRef | None) -> psutil.Process | None:
    if ref is None:
        return None
    _reap(ref.pid)
    try:
        process = psutil.Process(ref.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        is_same = abs(process.create_time() - ref.started_at) < _START_TIME_SLACK_S
    except psutil.NoSuchProcess:
        return None
    return process if is_same else None


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
