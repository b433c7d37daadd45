"""``hub calendar``: the working days (ngày làm việc) from which deadlines are computed."""

from typing import Any

import typer
from rich.table import Table

from hub.cli.shared.context import located, opened, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, say_json, styled
from hub.reference.holidays import DaysOff, days_off_of, load_calendar, read_calendar_file


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "The calendar of working days (ngày làm việc), from which deadlines are computed."
    add_group(app, "calendar", told, show, reckon)


def show(as_json: AsJson = False) -> None:
    """Show the days off in the calendar that the settings name, and how many deadlines each calendar has computed.

    A day marked with ? was not found in a published decision: look it up before you rely on it.

    **Examples**

    - `hub calendar show`
    - `HUB_CALENDAR=days.toml hub calendar show --json`
    """
    from hub.operate.desk.calendar import calendars_used  # heavy: the merge
    from hub.warehouse.database import translated_errors

    settings, places = located()
    days, off = load_calendar(settings.calendar), days_off_of(read_calendar_file(settings.calendar))
    with (
        translated_errors("reading the calendars"),
        warehouse(settings, places, "hub calendar").connect() as connection,
    ):
        used = calendars_used(connection)
    if as_json:
        calendars = [
            {"version": one.version, "in_force": one.is_in_force, "open": one.open, "ended": one.ended} for one in used
        ]
        say_json({"version": days.version, "days_off": [_off(one) for one in off], "calendars": calendars})
        return
    console = Screen()
    console.print(styled("calendar [bold]{}[/bold], {} to {}", days.version, days.first_day, days.last_day))
    console.print(_days_off(off))
    table = Table("calendar", "in force", "open dossiers", "ended dossiers", box=None, pad_edge=False)
    for one in used:
        table.add_row(one.version, "yes" if one.is_in_force else "", f"{one.open:,}", f"{one.ended:,}")
    console.print(table)


def _off(days: DaysOff) -> dict[str, Any]:
    return {
        "name": days.name,
        "from": days.first.isoformat(),
        "until": days.last.isoformat(),
        "made_up_on": days.made_up_on.isoformat() if days.made_up_on else None,
        "certain": days.is_certain,
    }


def _days_off(off: tuple[DaysOff, ...]) -> Table:
    table = Table("from", "until", "made up on", "", "days off", box=None, pad_edge=False)
    for days in off:
        made_up = str(days.made_up_on) if days.made_up_on else ""
        table.add_row(str(days.first), str(days.last), made_up, "" if days.is_certain else "?", days.name)
    return table


def reckon(
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Put the calendar of the settings in force and compute the deadlines of open dossiers (hồ sơ) with it.

    Ended dossiers keep the calendar by which they were judged. Batches wait while deadlines are being computed.

    **Examples**

    - `HUB_CALENDAR=days.toml hub calendar reckon`
    - `HUB_CALENDAR=days.toml hub calendar reckon --execute --reason "Tết 2027 by the Prime Minister's decision"`
    """
    from hub.operate.desk import calendar as working_days  # heavy: the merge

    settings, _, engine = opened("hub calendar reckon")
    days = load_calendar(settings.calendar)
    if execute:
        by = Asker(officer, reason).by()
        count = working_days.reckon(engine, days, by.actor, by.purpose)
    else:
        count = working_days.plan_reckoning(engine, days)
    if as_json:
        say_json({"version": days.version, "dossiers": count, "executed": execute})
    else:
        said = "got new deadlines" if execute else "would get new deadlines; add --execute --reason TEXT"
        Screen().print(f"calendar {days.version}: {count:,} open dossiers {said}")
