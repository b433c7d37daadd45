"""Entry point of the ``hub`` command: registers the groups, maps errors to exit codes."""

import importlib
import platform
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError, ProgrammingError
from typer.exceptions import Abort, TyperException

from hub.cli.shared.process_tuning import tune_process
from hub.cli.shared.screen import Screen, plain, say, show_bugs_visibly, styled
from hub.model.errors import ConfigError, HubError, UnreachableError
from hub.model.texts.visible import visible, warn_in_lines

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130

_NO_SUCH_TABLE = ("42P01", "42703", "3F000")
"""SQLSTATEs for a missing table, column or schema."""

_GROUPS = (
    "processes.engine",
    "schemas",
    "processes.worker",
    "share.commands",
    "ledger.commands",
    "trace.commands",
    "log.topics",
    "log.offsets",
    "log.archive",
    "desk.policy",
    "desk.review",
    "dead_letters.commands",
    "dead_letters.parked",
    "desk.operators",
    "dead_letters.partitions",
    "processes.alerts",
    "processes.commands",
    "ledger.quality",
    "desk.calendar",
    "connect.commands",
    "units.commands",
    "units.procedures",
    "replay.commands",
    "demo.commands",
    "processes.settings",
    "evidence.commands",
    "records.commands",
)
"""Modules under ``hub.cli``; each has ``register(app)``."""

_HELP = """Carry change events from provincial and national systems into one shared warehouse, and on to the portal.

Exit codes: 0 ok, 1 failure, 2 bad input or configuration, 3 environment unreachable, 130/143 on signals.
"""


def build_app() -> typer.Typer:
    """Return the application with every group registered."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False, help=_HELP)
    app.callback(help=_HELP)(_before_commands)
    for name in _GROUPS:
        importlib.import_module(f"hub.cli.{name}").register(app)
    return app


def _say_version(is_asked: bool) -> None:
    if is_asked:
        say(f"hub {version('hub')}, Python {platform.python_version()}")
        raise typer.Exit


def _before_commands(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Handle options before the command; close connections when the command ends."""
    from hub.cli.shared.context import close_warehouses

    context.call_on_close(close_warehouses)


def main() -> None:
    """Run the command line and exit with its code."""
    tune_process()
    show_bugs_visibly()
    warn_in_lines()
    errors = Screen(stderr=True, soft_wrap=True)
    try:
        code = _run()
    except ConfigError as error:
        for problem in error.problems:
            errors.print(styled("[red]configuration:[/red] {}", problem))
        sys.exit(EXIT_BAD_INPUT)
    except (Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except TyperException as error:
        _show_usage_error(error, errors)
        sys.exit(EXIT_BAD_INPUT)
    except UnreachableError as error:
        errors.print(styled("[red]unreachable:[/red] {}", error.message))
        sys.exit(EXIT_UNREACHABLE)
    except HubError as error:
        errors.print(styled("[red]{}:[/red] {}", error.code, error.message))
        sys.exit(EXIT_FAILURE)
    except DBAPIError as error:
        _show_bug(error, errors)
        sys.exit(EXIT_FAILURE)
    sys.exit(code if isinstance(code, int) else 0)


def _show_bug(error: DBAPIError, errors: Console) -> None:
    """Show where a database refused what the program asked. Its message is left out: the details contain rows (I8)."""
    state = getattr(error.orig, "sqlstate", None) or "none"
    errors.print(plain("".join(traceback.format_tb(error.__traceback__))))
    errors.print(styled("[red]bug:[/red] {}, SQLSTATE {}", type(error.orig).__name__, state))


def _run() -> object:
    """Run the command; if tables are missing because nobody created them, say that instead."""
    try:
        return build_app()(standalone_mode=False)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) in _NO_SUCH_TABLE:
            from hub.cli.shared.context import close_warehouses, located, warehouse
            from hub.warehouse.setup.migrate import check_migrated

            settings, places = located()
            try:
                check_migrated(warehouse(settings, places, "hub"), settings.database_schema)
            finally:
                close_warehouses()
        raise


def _show_usage_error(error: TyperException, errors: Console) -> None:
    if isinstance(getattr(error, "message", None), str):
        error.message = visible(error.message)
    show = getattr(error, "show", None)
    if show is not None:
        show()
    else:
        errors.print(styled("[red]error:[/red] {}", error.format_message()))
