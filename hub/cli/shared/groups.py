"""Groups of commands."""

from collections.abc import Callable
from typing import Any

import typer


def add_group(app: typer.Typer, name: str, told: str, *commands: Callable[..., Any]) -> typer.Typer:
    """Add a group of commands in their order, and return it; without a command it shows its help.

    Args:
        app: the application.
        name: of the group.
        told: what its help says of it.
        commands: each has the first word of its function's name.
    """
    group = typer.Typer(no_args_is_help=True, help=told)
    for command in commands:
        group.command(command.__name__.partition("_")[0])(command)
    app.add_typer(group, name=name)
    return group
