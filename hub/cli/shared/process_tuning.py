"""How a process of the hub behaves beside others: one polars thread, memory given back, short turns, little garbage.

Polars reads its settings when it is imported, so they are made before any command is.
"""

import gc
import os
import sys

ALLOCATOR = "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2"
"""Freed pages go back to the system; as polars has it by itself a tenth more memory stays resident at full speed."""


GARBAGE_AFTER = 20_000
"""So many objects more before the youngest are searched; Python's own 700 are less than one batch makes."""


TURN_S = 0.0005
"""A thread has so long while others wait for theirs; Python's own is 5 ms. Meant for the thread that comes back from
the database a dozen times a batch; no gain could be told from chance (docs/performance.md)."""


STEPS_BACK = 5
"""Of the system's priorities: beside a process of the usual one, a third of the processor's time."""


def run_lean() -> None:
    """Set the environment of this process for polars; what it starts inherits it.

    Its pool's threads would wake for every call on a small batch, while lanes and the decoding child already fill the
    processors; ``POLARS_MAX_THREADS`` stands where somebody has set it. The allocator's last word counts, and a process
    that has imported polars leaves its children a first one.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ["_RJEM_MALLOC_CONF"] = ",".join(filter(None, (os.environ.get("_RJEM_MALLOC_CONF"), ALLOCATOR)))


def serve_evenly() -> None:
    """Let no part of a server hold up the others: short turns of the threads, little time spent on garbage.

    Modules, schemas and prepared statements stay for good, and to walk through them all takes tenths of a second, in
    which nothing else is done: what is there by now is left out of every later search. Records that were polled are
    no cycles and go without one.
    """
    sys.setswitchinterval(TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)


def give_way() -> None:
    """Let the machine's other processes go first: for what follows them, and takes up in one step what has gathered."""
    if hasattr(os, "nice"):
        os.nice(STEPS_BACK)
