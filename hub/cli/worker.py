"""Commands of the group `worker`."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
