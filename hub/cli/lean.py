"""How polars behaves in a process of the hub, which runs beside others: one thread, and memory given back at once.

Polars reads this when it is imported, so it is set before any command is. What the environment says already stands.
"""

import os

_SETTINGS = {
    # Its pool's threads wake for every call on a small batch; lanes and the decoding child fill the processors.
    "POLARS_MAX_THREADS": "1",
    # Freed pages go back to the system; without it a tenth more memory stays resident at full speed.
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2",
}


def run_lean() -> None:
    """Set the environment of this process for polars; what starts later from it inherits it."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
