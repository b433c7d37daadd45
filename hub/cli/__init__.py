"""The command line: one module per group of commands; ``main`` maps errors to exit codes.

Exit codes: 0 ok, 1 failure, 2 bad input or configuration, 3 environment unreachable, 130/143 on signals.
"""

from hub.cli.main import main

__all__ = ["main"]
