"""Free ports on loopback, outside the range from which the system picks ports for outgoing connections.

Any client may take a port of that range while its server is stopped, and a client that retries may even connect
to itself.
"""

import random
import socket
import time
from collections.abc import Sequence

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 15_000, 32_000
_TRIES = 200
_PATIENCE_S = 10.0
_LOOK_EVERY_S = 0.05


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def accepts(port: int, timeout_s: float = 0.5) -> bool:
    """Tell whether something listens on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=timeout_s).close()
    except OSError:
        return False
    return True


def choose(count: int, preferred: Sequence[int] = (), patience_s: float = _PATIENCE_S) -> tuple[int, ...]:
    """Return ``count`` free ports: the preferred ones if they become free, so that clients find the server again.

    Blocks up to ``patience_s`` for them: the threads of a killed server may hold its ports a moment longer.
    """
    deadline = time.monotonic() + patience_s
    while len(preferred) == count:
        if all(is_free(port) for port in preferred):
            return tuple(preferred)
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_EVERY_S)
    source = random.SystemRandom()
    chosen: list[int] = []
    for _ in range(_TRIES * count):
        port = source.randint(_FIRST, _LAST)
        if port not in chosen and is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return tuple(chosen)
    raise OSError(f"no {count} free ports between {_FIRST} and {_LAST} on {LOOPBACK}")
