"""``hub alerts list``: what needs an operator now, and what needed one before."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hub.cli.shared.context import opened
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import plain, say, say_json, screen
from hub.config import limits_of
from hub.model.alerts import alert_named

if TYPE_CHECKING:
    from hub.warehouse.alerts import Raised


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "alerts", "What needs an operator.", list_)


def list_(
    with_closed: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the open alerts, with the first thing to do about each; exit code 1 if there are any.

    The runbook (docs/runbook.md) has a section for each name. A worker shows the same on its page `/alerts`.

    **Examples**

    - `hub alerts list`
    - `hub alerts list --all --json`
    """
    from hub.warehouse.alerts import alert_as_json, open_alerts  # heavy: the warehouse
    from hub.warehouse.processes import with_process_alerts

    settings, _, engine = opened("hub alerts")
    found = with_process_alerts(engine, limits_of(settings), open_alerts(engine, with_closed))
    if as_json:
        say_json({"alerts": [alert_as_json(one) for one in found]})
    elif found:
        console = screen()
        console.print(_listed(found))
        for one in found:
            if one.closed_at is None and (known := alert_named(one.name)):
                console.print(plain(f"{one.name} at {one.place}: {one.detail}"))
                console.print(f"  first: {known.do}")
    else:
        say("no alert is open")
    if any(one.closed_at is None for one in found):
        raise typer.Exit(1)


def _listed(found: "list[Raised]") -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("alert", "at", "look", "opened", "last seen", "count", "closed"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "count" else "left")
    for one in found:
        known = alert_named(one.name)
        closed = f"{one.closed_at:%m-%d %H:%M}" if one.closed_at else ""
        table.add_row(
            one.name,
            one.place,
            known.severity.value if known else "?",
            f"{one.opened_at:%m-%d %H:%M}",
            f"{one.last_seen_at:%m-%d %H:%M}",
            f"{one.count:,}",
            closed,
        )
    return table
