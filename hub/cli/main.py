"""Entry point of the ``hub`` command: registers the groups, maps errors to exit codes."""

import importlib
import sys

import click
import typer
from rich.console import Console

from hub.model.errors import ConfigError, HubError, UnreachableError

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_UNREACHABLE = 3

_GROUPS = ("engine", "schemas", "worker", "share", "ledger", "connect", "demo", "settings")
"""Modules under ``hub.cli``; each has ``register(app)``."""


def build_app() -> typer.Typer:
    """Return the application with every group registered."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False, help=__doc__)
    for name in _GROUPS:
        importlib.import_module(f"hub.cli.{name}").register(app)
    return app


def main() -> None:
    """Run the command line and exit with its code."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        code = build_app()(standalone_mode=False)
    except ConfigError as error:
        for problem in error.problems:
            errors.print(f"[red]configuration:[/red] {problem}", markup=True)
        sys.exit(EXIT_BAD_INPUT)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except UnreachableError as error:
        errors.print(f"[red]unreachable:[/red] {error.message}")
        sys.exit(EXIT_UNREACHABLE)
    except HubError as error:
        errors.print(f"[red]{error.code}:[/red] {error.message}")
        sys.exit(EXIT_FAILURE)
    sys.exit(code if isinstance(code, int) else 0)
