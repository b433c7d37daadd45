"""``python -m hub.cli``: the command line without its installed script."""

from hub.cli import main

main()
