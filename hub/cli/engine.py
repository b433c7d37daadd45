"""Commands of the group `engine`."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
