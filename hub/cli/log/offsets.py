"""Commands of stored offsets: ``hub offsets show``, ``plan``, ``apply`` and ``accept``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hub.cli.shared.context import located, opened, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, say_json, screen, styled
from hub.log.places import Partition
from hub.model.errors import ConfigError
from hub.topology import CLOSED_MARK, is_closed, subject_of

if TYPE_CHECKING:
    from hub.operate.log.new_log import NewLog
    from hub.operate.log.offset_moves import OffsetPlan
    from hub.operate.log.offsets import StoredOffset


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "offsets", "How far the hub has read the log: stored offsets.", show, plan, apply, accept)


def show(
    topic: Annotated[str | None, typer.Option("--topic", help="Only this topic.")] = None, as_json: AsJson = False
) -> None:
    """Show each partition's stored offset next to the log's bounds and the group's offset on Kafka.

    The stored offset, in PostgreSQL, is the truth; the group's offset is written afterwards, for lag tools. Exit code 1
    if the log does not hold a stored offset.

    **Examples**

    - `hub offsets show`
    - `hub offsets show --topic hub.citizen.changed.v1 --json`
    """
    from hub.operate.log.offsets import read_offsets  # heavy: the log's client

    settings, places, engine = opened("hub offsets")
    rows = read_offsets(engine, places.bootstrap, settings.consumer_group, topic)
    problems = [
        f"{row.topic}/{row.partition}: {row.log.problem(row.stored)}"
        for row in rows
        if row.log is not None and row.log.problem(row.stored)
    ]
    if as_json:
        say_json({"offsets": [_row_json(row) for row in rows], "problems": problems})
    else:
        console = screen()
        console.print(offsets_table(rows))
        for problem in problems:
            console.print(styled("[red]{}[/red]", problem), soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def offsets_table(rows: "Sequence[StoredOffset]") -> Table:
    """Render stored offsets, topics by their subject."""
    table = Table(box=None, pad_edge=False)
    table.add_column("topic/partition", no_wrap=True, overflow="fold")
    for heading in ("log begins", "stored", "group", "log ends", "lag"):
        table.add_column(heading, justify="right")
    for row in rows:
        name = f"{subject_of(row.topic)}/{row.partition}"
        if row.log is None:
            table.add_row(name, "-", f"{row.stored:,}", "-", "not on this Kafka", "-")
            continue
        group = "-" if row.group is None else f"{row.group:,}"
        table.add_row(
            name, f"{row.log.begin:,}", f"{row.stored:,}", group, f"{row.log.end:,}", f"{row.log.lag(row.stored):,}"
        )
    return table


def _row_json(row: "StoredOffset") -> dict[str, Any]:
    log = row.log
    return {
        "topic": row.topic,
        "partition": row.partition,
        "stored": row.stored,
        "group": row.group,
        "log_begin": log and log.begin,
        "log_end": log and log.end,
        "lag": log and log.lag(row.stored),
        "lag_s": log and log.lag_s(datetime.now(UTC)),
    }


def plan(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION", help="Which log partition.")],
    to: Annotated[str, typer.Option("--to", help="First offset to read afterwards: a number, begin or end.")],
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Plan to move a stored offset forward, past records that must not be read; moves nothing.

    It prints how many records would be skipped, and stores the plan with a digest of them. Moving back is refused (exit
    code 2): what was read has its audit rows, and `hub replay` reads it again.

    **Examples**

    - `hub offsets plan hub.citizen.changed.v1/1 --to 1657`
    - `hub offsets plan hub.inspection.changed.v1/0 --to begin --json`
    """
    from hub.operate.actions import actor  # heavy: the merge
    from hub.operate.log.offset_moves import plan_move

    _, places, engine = opened("hub offsets plan")
    with Screen(stderr=True).status("reading what would be skipped"):
        planned = plan_move(engine, places.bootstrap, _partition(place), to, actor(officer))
    _print(planned, as_json, executed=False)


def apply(
    name: Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id.")],
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a plan: each skipped record is audited as rejected, SKIPPED_BY_OPERATOR, and the offset moves.

    All in one transaction; exit code 1 if the log or the stored offset has changed since the plan was made.
    Workers continue by themselves. The table `action` records who did it and why.

    **Examples**

    - `hub offsets apply 5f0e7c4a8f7c`
    - `hub offsets apply 5f0e7c4a8f7c --execute --reason "range lost, incident 12" --officer H42-017`
    """
    from hub.operate.log.offset_moves import apply_move, stored_plan

    _, places, engine = opened("hub offsets apply")
    if not execute:
        _print(stored_plan(engine, name), as_json, executed=False)
        return
    asker = Asker(officer, reason)
    asker.why()
    with Screen(stderr=True).status("reading again what is skipped, and moving"):
        done = apply_move(engine, places.bootstrap, name, asker.actor, asker.why())
    _print(done, as_json, executed=True)


def accept(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic that was created again, or its subject.")],
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    archived_as: Annotated[
        str | None, typer.Option("--archived-as", help="Only move the archived files to the name of this closed log.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Accept the log of a topic that was deleted and created again, from its beginning. A plan until `--execute`.

    The old log is closed. Its audit rows, letters and evidence stay under the topic's name followed by a part of its
    id. Its archived files are moved there (run this where `HUB_ARCHIVE_DIR` is set). The new log gets its own numbers.
    Events that are sent again are duplicates. Stopped partitions go on. The table `action` records who did it and why.

    **Examples**

    - `hub offsets accept hub.inspection.changed.v1`
    - `hub offsets accept inspection.changed --execute --reason "disk lost, incident 12" --officer H42-017`
    """
    from hub.log.places import topic_of
    from hub.operate.archive.closing import move_archived
    from hub.operate.log.new_log import accept_new_log, plan_new_log

    settings, places = located()
    if archived_as is not None:
        if not execute or settings.archive_dir is None:
            raise ConfigError(["--archived-as moves files: it needs HUB_ARCHIVE_DIR and --execute"])
        name = topic_of(topic)
        if archived_as.partition(CLOSED_MARK)[0] != name or not is_closed(archived_as):
            raise ConfigError([f"{archived_as} is not a closed log of {name}: `hub ledger --partitions` shows them"])
        moved = move_archived(settings.archive_dir, name, None, archived_as)
        screen().print(f"{len(moved)} files moved")
        return
    engine = warehouse(settings, places, "hub offsets accept")
    planned = plan_new_log(engine, places.bootstrap, topic)
    if execute:
        by = Asker(officer, reason).by()
        if settings.archive_dir is not None:
            move_archived(settings.archive_dir, planned.topic, {one.partition for one in planned.old}, planned.closed)
        accept_new_log(engine, planned, by.actor, by.purpose)
    _print_new_log(planned, as_json, execute)


def _print_new_log(planned: "NewLog", as_json: bool, executed: bool) -> None:
    if as_json:
        say_json(
            {
                "topic": planned.topic,
                "old_id": planned.old_id and str(planned.old_id),
                "new_id": str(planned.new_id),
                "closed": planned.closed,
                "read_until": {str(one.partition): one.next_offset for one in planned.old},
                "begins": {str(number): begin for number, begin in planned.begins.items()},
                "executed": executed,
            }
        )
        return
    console = screen()
    console.print(f"{planned.topic}: id {planned.new_id}, was {planned.old_id or 'not known'}", soft_wrap=True)
    console.print(f"the old log {'is' if executed else 'would be'} closed as {planned.closed}", soft_wrap=True)
    for one in planned.old:
        begin = planned.begins.get(one.partition)
        new = "no longer exists" if begin is None else f"is read from {begin} on"
        console.print(f"  partition {one.partition}: the old one was read up to {one.next_offset}, the new one {new}")
    if not executed:
        console.print("nothing is done; add --execute and --reason")


def _partition(text: str) -> Partition:
    topic, _, partition = text.rpartition("/")
    if not topic or not partition.isdecimal():
        raise ConfigError([f"{text}: give a topic and a partition, like hub.citizen.changed.v1/1"])
    return topic, int(partition)


def _print(plan: "OffsetPlan", as_json: bool, executed: bool) -> None:
    if as_json:
        shown = {
            "plan": plan.id,
            "topic": plan.topic,
            "partition": plan.partition,
            "from": plan.from_offset,
            "to": plan.to_offset,
            "records": plan.records,
            "lost": plan.lost,
            "digest": plan.digest,
            "executed": executed,
        }
        say_json(shown)
        return
    console = screen()
    console.print(styled("plan [bold]{}[/bold]: {} -> {}", plan.id, plan.place, plan.to_offset), soft_wrap=True)
    console.print(
        f"skips {plan.records:,} records of the log" + (f" and {plan.lost:,} that it has lost" if plan.lost else "")
    )
    if executed:
        console.print(styled("[green]moved[/green]; each skipped record is audited as rejected, SKIPPED_BY_OPERATOR"))
    else:
        console.print(
            f"nothing is moved; `hub offsets apply {plan.id} --execute --reason TEXT` does it", soft_wrap=True
        )
