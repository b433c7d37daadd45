"""Where views are printed: the terminal, or 100 columns where there is none or it is wider than they need."""

from rich.console import Console

WIDTH = 100
"""Views fit this many columns."""


def screen() -> Console:
    """Return a console as wide as views need; a narrower terminal keeps its width."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal and terminal.width < WIDTH else Console(highlight=False, width=WIDTH)
