"""The command line: one folder per group of commands, with the names of ``hub.operate``'s rooms.

``hub --help`` prints the page of ``help_page``; any other command line goes to ``app``, which maps errors to exit
codes: 0 ok, 1 failure, 2 bad input or configuration, 3 environment unreachable, 130/143 on signals.
"""

import os
import sys


def main() -> None:
    """Print the page of commands if that is asked for; else run the command, and exit with its code."""
    if sys.argv[1:] in ([], ["--help"]) and "_HUB_COMPLETE" not in os.environ:
        from hub.cli.help_page import help_page

        sys.stdout.write(help_page() + "\n")
        sys.exit(0 if sys.argv[1:] else 2)
    from hub.cli.app import main as run

    run()
