"""``hub ledger``: is every consumed record accounted for?"""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.cli.context import located, warehouse
from hub.model.outcomes import Outcome
from hub.operate.ledger import LedgerRow, read_ledger, totals_by_topic
from hub.topology import subject_of
from hub.warehouse.database import translated_errors


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("ledger")(ledger)


def ledger(
    partitions: Annotated[bool, typer.Option("--partitions", help="One line per partition, not per topic.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show per topic what was consumed and what became of it; exit code 1 when something is unaccounted for.

    **Examples**

    - `hub ledger`
    - `hub ledger --partitions`
    - `hub ledger --json`
    """
    settings, places = located()
    with translated_errors("reading the ledger"), warehouse(settings, places, "hub ledger").connect() as connection:
        rows = read_ledger(connection)
    balanced = all(row.balanced for row in rows)
    if as_json:
        print(json.dumps({"ledger": [row.as_json() for row in rows], "balanced": balanced}))
    else:
        console = Console()
        console.print(ledger_table(rows if partitions else totals_by_topic(rows)))
        console.print("[green]balanced[/green]" if balanced else "[red]NOT balanced[/red]: see --partitions")
    if not balanced:
        raise typer.Exit(1)


def ledger_table(rows: list[LedgerRow]) -> Table:
    """Render ledger rows, topics by their subject; a zero is a dot, so that what happened stands out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", no_wrap=True, overflow="fold")
    headings = [
        "consumed",
        "applied",
        "super-\nseded",
        "dupli-\ncate",
        "stale",
        "parked",
        "rejec-\nted",
        "dead\nletter",
    ]
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows:
        subject = subject_of(row.topic)
        name = subject if row.partition < 0 else f"{subject}/{row.partition}"
        counts = [row.consumed, *(row.outcomes[outcome] for outcome in Outcome)]
        mark = "[green]ok[/green]" if row.balanced else "[red]OFF[/red]"
        table.add_row(name, *(f"{count:,}" if count else "·" for count in counts), mark)
    return table
