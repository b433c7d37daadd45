"""Commands that make and run the way in: ``hub db migrate``, ``hub topics ensure``, ``hub worker``."""

import json
import logging
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.cli.context import located, policy_path, warehouse
from hub.operate.topics import TopicPlan, create_topics, plan_topics
from hub.reference.holidays import load_calendar
from hub.topology import topics
from hub.warehouse.migrate import migrate

_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Execute = Annotated[bool, typer.Option("--execute", help="Do it; without this, only the plan is printed.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    database = typer.Typer(no_args_is_help=True, help="The warehouse's tables.")
    database.command("migrate")(db_migrate)
    app.add_typer(database, name="db")
    on_topics = typer.Typer(no_args_is_help=True, help="The topics of the hub.")
    on_topics.command("ensure")(topics_ensure)
    app.add_typer(on_topics, name="topics")
    app.command("worker")(worker)


def db_migrate(as_json: _AsJson = False) -> None:
    """Create or complete the warehouse's tables; nothing is ever dropped.

    **Examples**

    - `hub db migrate`
    - `hub db migrate --json`
    """
    settings, places = located()
    working_days = load_calendar(settings.calendar)
    report = migrate(warehouse(settings, places, "hub db migrate"), settings.database_schema, working_days)
    if as_json:
        print(json.dumps(asdict(report)))
        return
    console = Console()
    console.print(f"schema [bold]{settings.database_schema}[/bold] is at revision {report.revision}")
    for added in report.added:
        console.print(f"  added {added}")


def topics_ensure(execute: _Execute = False, as_json: _AsJson = False) -> None:
    """Create the topics that are missing. Prints the plan; `--execute` carries it out.

    **Examples**

    - `hub topics ensure`
    - `hub topics ensure --execute`
    """
    settings, places = located()
    plan = plan_topics(places.bootstrap, topics(settings.partitions))
    if execute:
        create_topics(places.bootstrap, plan.missing, settings.replication)
    if as_json:
        print(json.dumps({"missing": [t.name for t in plan.missing], "present": plan.present, "executed": execute}))
        return
    _show_plan(plan, execute)


def _show_plan(plan: TopicPlan, executed: bool) -> None:
    console = Console()
    if not plan.missing:
        console.print(f"all {len(plan.present)} topics are there")
        return
    table = Table("topic", "partitions", "configuration", box=None)
    for topic in plan.missing:
        table.add_row(topic.name, str(topic.partitions), " ".join(f"{k}={v}" for k, v in topic.config.items()))
    console.print(table)
    console.print("created" if executed else f"{len(plan.missing)} topics would be created; add --execute")


def worker() -> None:
    """Run one worker: consume the event topics and reconcile them into the warehouse, until it is stopped.

    Any number of workers may run; they share the partitions. A worker whose Kafka or PostgreSQL is away waits for it.
    `/health` on its web port (HUB_WEB_PORT) says how it is.

    **Examples**

    - `hub worker`
    - `HUB_WEB_PORT=6066 hub worker`
    """
    from hub.streams.worker import run_worker  # heavy: only a worker needs Faust and polars

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings, places = located()
    raise typer.Exit(run_worker(settings, places, policy_path(settings)))
