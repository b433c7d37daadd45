"""Commands of the archive."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group to the application."""
