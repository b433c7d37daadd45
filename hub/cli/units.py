"""Commands of administrative units: ``hub units load``."""

import json
from typing import Annotated

import typer
from rich.console import Console

from hub.config import load_settings
from hub.embedded.locate import endpoints
from hub.operate.units import load_units


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    units = typer.Typer(no_args_is_help=True, help="Administrative units: reference data that comes with the hub.")
    units.command("load")(load)
    app.add_typer(units, name="units")


def load(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Publish the country's administrative units, old and new, as `admin_unit.changed` events.

    Sources and licence: `hub/reference/README.md`. Safe to repeat: the same events again are duplicates.

    **Examples**

    `hub units load` — publish them and say how many
    """
    count = load_units(endpoints(load_settings()))
    if as_json:
        typer.echo(json.dumps({"published": count}))
    else:
        Console().print(f"{count:,} events published")
