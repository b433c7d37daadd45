"""Commands of stopped partitions: ``hub partitions list`` and ``resume``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hub.cli.shared.context import located, opened, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import plain, say, say_json, screen
from hub.model.stop_causes import StopCause
from hub.topology import subject_of

if TYPE_CHECKING:
    from hub.operate.dead_letters.partitions import ResumePlan
    from hub.warehouse.stops import Stop

_APPLICATION = "hub partitions"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "partitions", "Stopped partitions: after many poison records, a bug, or another log.", list_, resume)


def list_(
    with_resumed: Annotated[bool, typer.Option("--all", help="Also those that were resumed.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the stopped partitions, where and why they stopped; exit code 1 if there are any.

    **Examples**

    - `hub partitions list`
    - `hub partitions list --all --json`
    """
    from hub.operate.dead_letters.partitions import list_stops  # heavy: the warehouse

    settings, places = located()
    found = list_stops(warehouse(settings, places, _APPLICATION), standing_only=not with_resumed)
    if as_json:
        say_json({"partitions": [_as_json(stop) for stop in found]})
    elif found:
        screen().print(_listed(found))
    else:
        say("no partition is stopped")
    if any(stop.is_standing for stop in found):
        raise typer.Exit(1)


def resume(
    partition: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION", help="A subject may be given for its topic.")],
    accept_poison: Annotated[
        int, typer.Option("--accept-poison", min=0, help="How many poison records may become dead letters.")
    ] = 0,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Resume a stopped partition from its stored offset. Prints the plan; `--execute` does it.

    First remove the cause: update the hub or its policy, or stop the producer. Without `--accept-poison` the count of
    poison records (bản ghi không xử lý được) continues as if there had been no stop: if they are still poison, the
    partition stops again at the same record. `--accept-poison N` lets N of them become dead letters, which can be
    redriven later; after them the count begins again at zero.

    **Examples**

    - `hub partitions resume citizen.changed/1`
    - `hub partitions resume citizen.changed/1 --reason "hub updated" --execute`
    - `hub partitions resume citizen.changed/1 --accept-poison 250 --reason "case 7" --officer H42-017 --execute`
    """
    from hub.operate.dead_letters.partitions import partition_of, plan_resume, resume_partition  # heavy: the warehouse

    engine = opened(_APPLICATION).engine
    plan = plan_resume(engine, partition_of(partition), accept_poison)
    if execute:
        by = Asker(officer, reason).by()
        resume_partition(engine, plan, by.actor, by.purpose)
    if as_json:
        told = {"next_offset": plan.next_offset, "accept_poison": accept_poison, "executed": execute}
        say_json(_as_json(plan.stop) | told)
        return
    console = screen()
    console.print(_listed([plan.stop]))
    accepted = f", {accept_poison:,} poison records accepted" if accept_poison else ""
    console.print(f"{'goes' if execute else 'would go'} on from {plan.next_offset}{accepted}")
    console.print(plain(what_stops_it_again(plan)))
    if not execute:
        console.print("nothing is done; add --execute and --reason")


def what_stops_it_again(plan: "ResumePlan") -> str:
    """Say when the partition stops again, so that the operator can rely on it."""
    stop, accepted = plan.stop, plan.accept_poison
    if stop.cause is not StopCause.STORM:
        return "if the cause is still there, it stops again at the same place"
    if not accepted:
        return (
            f"none is accepted, so the count continues: it stops again at {stop.place}/{stop.poison_offset} at the "
            "latest, if that record is still poison"
        )
    limits = stop.limits
    in_a_row = f"{limits.run:,} in a row, or " if limits.run else ""
    return (
        f"then the count begins again at zero: {in_a_row}{limits.most_in_window:,} poison records among the last "
        f"{limits.window:,} stop it again"
    )


def _listed(stops: "list[Stop]") -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("partition", "stands at", "since", "why", "poison", ""):
        table.add_column(heading, overflow="fold")
    for stop in stops:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(stop.reasons.items()))
        since = f"{stop.stopped_at:%m-%d %H:%M}" if stop.stopped_at else ""
        state = "stopped" if stop.is_standing else f"resumed by {stop.resumed_by}"
        name = f"{subject_of(stop.topic)}/{stop.partition}"
        table.add_row(name, str(stop.stop_offset), since, stop.why, reasons, state)
    return table


def _as_json(stop: "Stop") -> dict[str, Any]:
    return {
        "partition": stop.place,
        "stop_offset": stop.stop_offset,
        "poison_offset": stop.poison_offset,
        "why": stop.why,
        "reasons": dict(stop.reasons),
        "limits": {"run": stop.limits.run, "window": stop.limits.window, "share": stop.limits.share},
        "stopped_at": stop.stopped_at and stop.stopped_at.isoformat(),
        "stopped_by": stop.stopped_by,
        "resumed_at": stop.resumed_at and stop.resumed_at.isoformat(),
        "resumed_by": stop.resumed_by,
        "purpose": stop.purpose,
        "cause": stop.cause.value,
        "bug": stop.bug,
    }
