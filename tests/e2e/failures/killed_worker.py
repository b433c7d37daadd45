"""A worker that ends by SIGKILL at one step of one commit; run as a module: ``killed_worker STEP BATCH``.

It is ``hub worker`` but for the one call that it wraps: nothing of it has a chance to clean up.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hub.cli.app import main
from hub.reconcile import merge, store

STEPS = BEFORE, FENCED, STAGED, AUDITED, AFTER = ("before", "fenced", "staged", "audited", "after")
"""Before the transaction; in it, when the offsets have moved, when rows are staged, when the first subject is audited;
after its commit, before the worker knows of it."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _deadly(call: Callable[..., Any], is_time: Callable[[], bool], after: bool) -> Callable[..., Any]:
    """Return the call, the process's last when it is time: before it is done, or after."""

    def deadly(*arguments: Any, **named: Any) -> Any:
        if is_time() and not after:
            _die()
        result = call(*arguments, **named)
        if is_time():
            _die()
        return result

    return deadly


def arm(step: str, batch: int) -> None:
    """Make the given step of the ``batch``-th commit the process's last."""
    commits = 0
    commit = store.WarehouseStore.commit

    def counted(*arguments: Any) -> Any:
        nonlocal commits
        commits += 1
        return _deadly(commit, is_time, step == AFTER)(*arguments) if step in {BEFORE, AFTER} else commit(*arguments)

    def is_time() -> bool:
        return commits == batch

    setattr(store.WarehouseStore, "commit", counted)  # noqa: B010 - a method may not be assigned otherwise
    inner = {FENCED: "begin_batch", STAGED: "stage", AUDITED: "_merge"}
    if step in inner:
        setattr(merge, inner[step], _deadly(getattr(merge, inner[step]), is_time, after=True))


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["hub", "worker"]
    main()
