"""How polars behaves in a process of the hub, which runs beside others: one thread, and memory given back at once.

Polars reads this when it is imported, so it is set before any command is.
"""

import os

ALLOCATOR = "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2"
"""Freed pages go back to the system; as polars has it by itself a tenth more memory stays resident at full speed."""


def run_lean() -> None:
    """Set the environment of this process for polars; what it starts inherits it.

    Its pool's threads would wake for every call on a small batch, while lanes and the decoding child already fill the
    processors; ``POLARS_MAX_THREADS`` stands where somebody has set it. The allocator's last word counts, and a process
    that has imported polars leaves its children a first one.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ["_RJEM_MALLOC_CONF"] = ",".join(filter(None, (os.environ.get("_RJEM_MALLOC_CONF"), ALLOCATOR)))
