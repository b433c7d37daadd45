"""``hub config``: every setting, its variable, its value now."""

import typer
from rich.table import Table

from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, say_json
from hub.config import Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("config")(config)


def config(as_json: AsJson = False) -> None:
    """Show every setting: its variable, its value now, its purpose.

    Secrets are not shown; exit code 2 if a setting is wrong.

    **Examples**

    - `hub config`
    - `HUB_PARTITIONS=8 hub config --json`
    """
    rows = setting_rows(load_settings())
    if as_json:
        say_json({variable: value for variable, value, _ in rows})
        return
    table = Table("variable", "now", "what it is for", box=None, pad_edge=False)
    for variable, value, purpose in rows:
        table.add_row(variable, value, purpose)
    Screen().print(table)


def setting_rows(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (variable, value, purpose) of every setting; a secret's value and a URL's password stay hidden."""
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = "" if value is None else str(value)
        if value is not None and not field.repr:
            shown = "(set)"
        rows.append(("HUB_" + name.upper(), shown, field.description or ""))
    return rows
