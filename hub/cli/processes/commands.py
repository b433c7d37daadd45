"""``hub processes``: the workers, shares and connectors that run or should run; and their view in ``hub status``."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from hub.cli.shared.context import opened
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, plain, say_json, styled
from hub.config import limits_of
from hub.model.processes import Condition, Judged, Role
from hub.operate.processes import Processes, forget_process
from hub.warehouse.processes import ALERT_OF, STOP_ALERT

_APPLICATION = "hub processes"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "processes", "Workers, shares and connectors; `hub status` lists them.", forget)


def forget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `hub status` shows it.")],
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Forget a process that is gone and will not come back; its alert closes. A plan until `--execute`.

    If the process is started again, the hub knows it again.

    **Examples**

    - `hub processes forget worker-2:117`
    - `hub processes forget worker-2:117 --execute --reason "the machine was taken away"`
    """
    settings, _, engine = opened(_APPLICATION)
    by = Asker(officer, reason).by() if execute else None
    gone = forget_process(engine, name, limits_of(settings), (by.actor, by.purpose) if by else None)
    if as_json:
        say_json({"processes": [one.as_json() for one in gone], "executed": execute})
        return
    Screen().print(processes_table(gone))
    Screen().print("forgotten" if execute else "nothing is done; add --execute and --reason")


_STYLES = {Condition.RUNS: "green", Condition.WAITS: "yellow", Condition.BEHIND: "yellow", Condition.ENDED: "dim"}


def processes_table(found: "list[Judged] | tuple[Judged, ...]") -> Table:
    """Return the processes as a table that fits 100 columns; names are never cut."""
    table = Table(
        Column("process", no_wrap=True), Column("name", overflow="fold"), "state", "since", "heard", "what", box=None
    )
    now = datetime.now(UTC)
    for one in found:
        beat = one.beat
        state = plain(one.condition.value, _STYLES.get(one.condition, "bold red"))
        heard = f"{beat.beat_at:%m-%d %H:%M:%S}" if one.silent_s > _HEARD_LATELY_S else f"{one.silent_s:.0f} s ago"
        table.add_row(beat.role.value, beat.name, state, f"{beat.began_at:%m-%d %H:%M}", heard, plain(_what(one, now)))
    return table


_HEARD_LATELY_S = 600


def _what(one: Judged, now: datetime) -> str:
    beat = one.beat
    if beat.waits_for is not None and one.condition in (Condition.WAITS, Condition.BEHIND):
        since = f" for {(now - beat.waits_since).total_seconds():.0f} s" if beat.waits_since else ""
        return f"waits{since}: {beat.waits_for}"
    behind = [f"{beat.behind:,} records behind"] if beat.behind else []
    if beat.behind_s:
        behind.append(f"{beat.behind_s:.0f} s behind")
    return ", ".join([part for part in (beat.doing, *behind) if part])


def shown(processes: Processes) -> tuple[Judged, ...]:
    """Return the processes that an operator wants to see: all except those that ended in order."""
    return tuple(one for one in processes.found if one.condition is not Condition.ENDED)


def processes_json(processes: Processes) -> dict[str, Any]:
    """Return what ``--json`` prints of the processes."""
    return {
        "processes": [one.as_json() for one in processes.found],
        "processes_unknown": processes.unknown or None,
        "no_process_of": [stop.as_json() for stop in processes.stops],
        "alerts_that_cannot_wait": list(processes.pages),
    }


def print_processes(console: Screen, processes: Processes) -> None:
    """Print the processes, and which kinds are missing."""
    if processes.unknown:
        console.print(styled("[yellow]the processes are not known:[/yellow] {}", processes.unknown), soft_wrap=True)
        return
    found = shown(processes)
    if found:
        console.print(processes_table(found))
    for role in (Role.WORKER, Role.SHARE):
        if not any(one.beat.role is role for one in found) and role not in {stop.role for stop in processes.stops}:
            console.print(f"no {role.value} runs: `hub {role.value}` starts one")


_MEND = {
    Role.WORKER: "start one: `hub worker`",
    Role.SHARE: "start it: `hub share`",
    Role.CONNECTOR: "start it at the source: `hub connect run`",
}


def say_out_of_order(console: Screen, processes: Processes) -> None:
    """Print one line for each process, and each role without one, that needs somebody, with the first thing to do."""
    for stop in processes.stops:
        alert = STOP_ALERT[stop.role].name
        console.print(styled("[red]{}[/red]; {}; docs/runbook.md#{}", stop, _MEND[stop.role], alert), soft_wrap=True)
    for one in processes.out_of_order:
        what = f"{one.beat.role.value} {one.beat.name}: {one.condition.value}"
        alert = ALERT_OF[one.beat.role, one.condition].name
        first = _MEND[one.beat.role] if one.condition is Condition.GONE else "see what it waits for above"
        console.print(styled("[red]{}[/red]; {}; docs/runbook.md#{}", what, first, alert), soft_wrap=True)
