"""The variables that a process started by the hub inherits: a closed list, so that no server gets our secrets."""

import os
from collections.abc import Mapping

INHERITED = (
    "HOME",
    "JAVA_HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
)
"""What a program needs to find its libraries, its language and a place for temporary files."""

OF_A_COMMAND = ("POLARS_MAX_THREADS", "PYTHONPATH", "VIRTUAL_ENV", "_RJEM_MALLOC_CONF")
"""What a command of the hub needs in addition, together with its settings (``HUB_*``)."""


def server_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a server or tool: the closed list, and what is given."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(more or {})


def command_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of one of the hub's own commands: the closed list, the hub's settings, what is given."""
    own = {name: value for name, value in os.environ.items() if name.startswith("HUB_") or name in OF_A_COMMAND}
    return server_environment() | own | dict(more or {})
