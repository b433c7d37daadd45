"""Commands that create and run the way in: ``hub db migrate``, ``hub worker``."""

from dataclasses import asdict

import typer

from hub.cli.shared.context import located, policy_path, warehouse
from hub.cli.shared.options import AsJson
from hub.cli.shared.process_tuning import serve_evenly
from hub.cli.shared.screen import Screen, say_json, styled
from hub.config import load_settings
from hub.model.texts.visible import log_to_stderr
from hub.reference.holidays import load_calendar
from hub.warehouse.setup.migrate import migrate


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    database = typer.Typer(no_args_is_help=True, help="The warehouse's tables.")
    database.command("migrate")(db_migrate)
    app.add_typer(database, name="db")
    app.command("worker")(worker)


def db_migrate(as_json: AsJson = False) -> None:
    """Create or complete the warehouse's tables; it never drops anything.

    **Examples**

    - `hub db migrate`
    - `hub db migrate --json`
    """
    settings, places = located()
    working_days = load_calendar(settings.calendar)
    report = migrate(warehouse(settings, places, "hub db migrate"), settings.database_schema, working_days)
    if as_json:
        say_json(asdict(report))
        return
    console = Screen()
    console.print(styled("schema [bold]{}[/bold] is at revision {}", settings.database_schema, report.revision))
    for added in report.added:
        console.print(f"  added {added}")


def worker() -> None:
    """Run one worker: consume the event topics and reconcile them into the warehouse, until it is stopped.

    Any number of workers may run; they share the partitions. If Kafka or PostgreSQL is unreachable, a worker waits for
    it. `/health` on its web port (HUB_WEB_PORT) shows its state.

    **Examples**

    - `hub worker`
    - `HUB_WEB_PORT=6066 hub worker`
    """
    from hub.worker.assemble import run_worker  # heavy: only a worker needs Faust and polars

    log_to_stderr(load_settings().log_level)
    settings, places = located()
    serve_evenly()
    raise typer.Exit(run_worker(settings, places, policy_path(settings)))
