"""How a process of the hub behaves beside others: one polars thread, memory given back, little time spent on garbage.

Polars reads its settings when it is imported, so they are made before any command is.
"""

import gc
import os

ALLOCATOR = "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2"
"""Freed pages go back to the system; as polars has it by itself a tenth more memory stays resident at full speed."""


GARBAGE_AFTER = 20_000
"""So many objects more before the youngest are searched; Python's own 700 are less than one batch makes."""


def run_lean() -> None:
    """Set the environment of this process for polars; what it starts inherits it.

    Its pool's threads would wake for every call on a small batch, while lanes and the decoding child already fill the
    processors; ``POLARS_MAX_THREADS`` stands where somebody has set it. The allocator's last word counts, and a process
    that has imported polars leaves its children a first one.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ["_RJEM_MALLOC_CONF"] = ",".join(filter(None, (os.environ.get("_RJEM_MALLOC_CONF"), ALLOCATOR)))


def spare_garbage() -> None:
    """Leave what is there by now out of every later search for garbage, and search less often; for servers.

    Modules, schemas and prepared statements stay for good, and to walk through them all takes tenths of a second, in
    which nothing else is done. Records that were polled are no cycles: they go without a search.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)
