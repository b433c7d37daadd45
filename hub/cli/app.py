"""Entry point of the ``hub`` command: registers the groups, maps errors to exit codes."""

import importlib
import os
import platform
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import Abort, TyperException

from hub.cli.help_page import ABOUT, ENTITY_MODULE, EXIT_CODES, MODULES
from hub.cli.shared.process_tuning import tune_process
from hub.cli.shared.screen import Screen, plain, say, show_bugs_visibly, styled
from hub.model.errors import ConfigError, HubError, UnreachableError
from hub.model.texts.visible import visible, warn_in_lines

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130

_COMPLETION = "_HUB_COMPLETE"
"""Set by the shell when it asks for completions."""
_NO_SUCH_TABLE = ("42P01", "42703", "3F000")
"""SQLSTATEs for a missing table, column or schema."""


def build_app(command: str | None = None) -> typer.Typer:
    """Return the application with the modules of one command or group; without a known name, with all of them."""
    about = f"{ABOUT}\n\n{EXIT_CODES}"
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False, help=about)
    app.callback(help=about)(_before_commands)
    known = MODULES.get(command) if command is not None else None
    for name in [known] if known else dict.fromkeys([*MODULES.values(), ENTITY_MODULE]):
        importlib.import_module(f"hub.cli.{name}").register(app)
    return app


def _typed_command() -> str | None:
    """Return the first word of the command line, unless it is an option or the shell asks for completions."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    return None if not first or first.startswith("-") or _COMPLETION in os.environ else first


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
    except Exception as error:
        if not _is_from_database(error):
            raise
        _show_bug(error, errors)
        sys.exit(EXIT_FAILURE)
    sys.exit(code if isinstance(code, int) else 0)


def _is_from_database(error: Exception) -> bool:
    """Tell whether a database's driver raised it; nothing is imported to find out."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return loaded is not None and isinstance(error, loaded.DBAPIError)


def _show_bug(error: Exception, errors: Console) -> None:
    """Show where a database refused what the program asked. Its message is left out: the details contain rows (I8)."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or "none"
    errors.print(plain("".join(traceback.format_tb(error.__traceback__))))
    errors.print(styled("[red]bug:[/red] {}, SQLSTATE {}", type(getattr(error, "orig", None)).__name__, state))


def _run() -> object:
    """Run the command; if tables are missing because nobody created them, say that instead."""
    try:
        return build_app(_typed_command())(standalone_mode=False)
    except Exception as error:
        if _is_from_database(error) and getattr(getattr(error, "orig", None), "sqlstate", None) in _NO_SUCH_TABLE:
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
