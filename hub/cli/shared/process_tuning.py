"""Tune a process of the hub: one polars thread, freed memory returned, short thread switches, rare garbage collection.

Polars reads its settings when it is imported, so they are set before any command runs.
"""

import gc
import os
import sys

ALLOCATOR = "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2"
"""The allocator returns freed pages to the system at once; with its default, a tenth more memory stays resident."""


GARBAGE_AFTER = 20_000
"""Allocations before Python runs a young-generation collection; its default, 700, is less than one batch makes."""


TURN_S = 0.0005
"""Seconds that a thread may run while others wait; Python's default is 5 ms. A thread that comes back from the
database, a dozen times per batch, then waits less; we measured no gain (docs/performance.md)."""


STEPS_BACK = 5
"""Added to the nice value: next to a process of normal priority, it gets a third of the processor's time."""


def tune_process() -> None:
    """Set the environment of this process for polars; child processes inherit it.

    The threads of polars' pool would wake for every call on a small batch, while lanes and the decoding child already
    fill the processors; ``POLARS_MAX_THREADS`` is kept if somebody has set it. The allocator uses the last value in its
    variable; a process that has imported polars gives its children an earlier one.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ["_RJEM_MALLOC_CONF"] = ",".join(filter(None, (os.environ.get("_RJEM_MALLOC_CONF"), ALLOCATOR)))


def serve_evenly() -> None:
    """Let no part of a server delay the others: threads switch often, garbage collection takes little time.

    Modules, schemas and prepared statements stay for the whole run. A collection that walks through them takes tenths
    of a second, in which nothing else runs; so all objects that exist now are left out of later collections
    (``gc.freeze``).
    Polled records form no cycles: reference counting frees them.
    """
    sys.setswitchinterval(TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)


def give_way() -> None:
    """Lower the priority of a process that follows others and can catch up in one step."""
    if hasattr(os, "nice"):
        os.nice(STEPS_BACK)
