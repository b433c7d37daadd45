"""A worker that ends by SIGKILL at one step of one commit; run as a module: ``killed_worker STEP BATCH``.

It is ``hub worker`` but for the one call that it wraps: nothing of it has a chance to clean up.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hub.cli.main import main
from hub.reconcile import merge, store

BEFORE, FENCED, STAGED, AUDITED, AFTER = STEPS = ("before", "fenced", "staged", "audited", "after")
"""Before the transaction; in it, when the offsets have moved, when rows are staged, when the first subject is audited;
after its commit, before the worker knows of it."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killing(call: Callable[..., Any], batch: int, after: bool) -> Callable[..., Any]:
    """Return the call, deadly in its ``batch``-th run, before or after it is done."""
    runs = 0

    def killing(*arguments: Any, **named: Any) -> Any:
        nonlocal runs
        runs += 1
        if runs == batch and not after:
            _die()
        result = call(*arguments, **named)
        if runs == batch:
            _die()
        return result

    return killing


def arm(step: str, batch: int) -> None:
    """Make the given step of the ``batch``-th commit the process's last."""
    match step:
        case "before":
            store.WarehouseStore.commit = _killing(store.WarehouseStore.commit, batch, after=False)  # type: ignore[method-assign]
        case "fenced":
            merge.advance_positions = _killing(merge.advance_positions, batch, after=True)  # type: ignore[attr-defined]
        case "staged":
            merge._stage = _killing(merge._stage, batch, after=True)
        case "audited":
            merge._merge = _killing(merge._merge, batch, after=True)
        case "after":
            store.WarehouseStore.commit = _killing(store.WarehouseStore.commit, batch, after=True)  # type: ignore[method-assign]
        case _:
            raise ValueError(step)


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["hub", "worker"]
    main()
