"""Which process on which machine: whether a process that was seen here has ended can be told at once, without waiting.

A process is named by the machine's boot, its namespace of process numbers (each container has its own) and the moment
it began, as the kernel counts it. So neither a container beside, nor a later process with the same number, nor a
machine that was started again is taken for it. Where there is no ``/proc``, nothing is told.
"""

import os
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_STARTED = 19
"""Place of the start time in ``/proc/PID/stat``, counted behind the name (field 22 of proc(5))."""


def own_identity() -> str | None:
    """Return the identity of this process: ``boot/namespace/start``; None if it cannot be known here."""
    return _identity(_here(), os.getpid())


def has_ended(identity: str | None, pid: int) -> bool:
    """Tell whether a process is known to have ended: it was on this machine, in this namespace, and is no more.

    Args:
        identity: as the process gave it; None: unknown, so nothing is told.
        pid: its number.
    """
    here = _here()
    if identity is None or here is None or pid <= 0 or not identity.startswith(f"{here}/"):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it exists and belongs to another user
    now = _identity(here, pid)
    return now is not None and now != identity


def _identity(here: str | None, pid: int) -> str | None:
    try:
        # the name is in parentheses and may contain any character
        state, *fields = (_PROC / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        started = "ended" if state in ("Z", "X") else fields[_STARTED - 1]
    except (OSError, ValueError, IndexError):
        return None
    return None if here is None else f"{here}/{started}"


@cache
def _here() -> str | None:
    try:
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text("ascii").strip()
        return f"{boot}/{os.readlink(_PROC / 'self' / 'ns' / 'pid')}"
    except OSError:
        return None
