"""``hub ledger``: does every consumed record have an outcome, and how far behind is the hub?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.processes.commands import processes_json, say_out_of_order
from hub.cli.shared.context import opened
from hub.cli.shared.options import AsJson
from hub.cli.shared.progress import progress_bar
from hub.cli.shared.screen import say_json, screen, styled
from hub.config import limits_of
from hub.model.errors import UnreachableError
from hub.topology import merged_topics
from hub.warehouse.database import translated_errors

if TYPE_CHECKING:
    from hub.log.places import Partition
    from hub.operate.ledger.balance import LedgerRow
    from hub.operate.log.ends import LogEnd
    from hub.reconcile.ledger.accounts import Loss
    from hub.share.report import ShareReport

_Check = Annotated[
    bool, typer.Option("--check", help="Look for everything that the audit rows name, and show what is missing.")
]
_MOST_LOSSES = 20


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("ledger")(ledger)


def ledger(
    partitions: Annotated[
        bool, typer.Option("--partitions", help="One line per partition instead of per topic.")
    ] = False,
    check: _Check = False,
    as_json: AsJson = False,
) -> None:
    """Show the ledger (sổ đối soát): what was consumed, what became of it, how far the hub is behind the log's end.

    Exit code 1 if a record has no outcome, or if a worker, share or connector is gone, makes no progress or is far
    behind, or if no worker or no share runs any more (`hub status` shows the same); 3 if the warehouse does not answer.
    Without Kafka the ledger is shown without the lag. What share still has to publish is shown by record topic and does
    not change the exit code. With `--check` every audit row is counted, and the command looks for the claims, records,
    parked records and dead letters that audit rows name. What was removed outside the hub is named by topic, partition
    and offset.

    **Examples**

    - `hub ledger`
    - `hub ledger --partitions`
    - `hub ledger --check`
    - `hub ledger --json`
    """
    from hub.operate.ledger.balance import is_large, read_ledger  # heavy: the tables
    from hub.operate.ledger.search import every_loss
    from hub.operate.processes import look_at_processes
    from hub.share.report import read_report

    settings, places, engine = opened("hub ledger")
    with translated_errors("reading the ledger"), engine.connect() as connection:
        exact = check or not is_large(connection)
        rows = read_ledger(connection, exact)
        sharing = read_report(connection, limits_of(settings))
    losses: list[Loss] = []
    if check:
        with progress_bar("stretches of the log looked at") as progress:
            losses = every_loss(engine, progress)
    ends, away = _log_ends(places.bootstrap, rows)
    processes = look_at_processes(engine, limits_of(settings))
    balanced = all(row.balanced for row in rows) and not losses
    if as_json:
        told = {"balanced": balanced, "kafka": away or "answers", "share": sharing.as_json()}
        say_json(_as_json(rows, ends, losses, exact) | told | processes_json(processes))
    else:
        _print(rows, ends, losses, partitions)
        _print_share(sharing)
        _conclude(away, exact, balanced, check)
        say_out_of_order(screen(), processes)
    if not balanced or processes.need_attention:
        raise typer.Exit(1)


def _print_share(sharing: "ShareReport") -> None:
    """Say how far share is behind, and what an operator must know about it."""
    from hub.cli.share.view import delay_table, troubles

    console = screen()
    table = delay_table(sharing.delays)
    console.print(table if table.row_count else "share is not behind: it has seen all that is merged")
    for trouble in troubles(sharing):
        console.print(trouble)


def _conclude(away: str, exact: bool, balanced: bool, checked: bool) -> None:
    """Say how the figures were counted, and whether they balance."""
    if away:
        screen().print(styled("[yellow]without lag:[/yellow] {}", away), soft_wrap=True)
    if not exact:
        screen().print("counted by the workers' check up to its last turn; `--check` counts everything now")
    hint = "" if checked else ": `hub ledger --check` names what is missing"
    screen().print(styled("[green]balanced[/green]") if balanced else styled("[red]NOT balanced[/red]{}", hint))


def _log_ends(bootstrap: str, rows: "list[LedgerRow]") -> "tuple[dict[Partition, LogEnd], str]":
    """Return where the log ends, or why that is not known."""
    from hub.operate.log.ends import read_log_ends  # heavy: the log's client

    try:
        return read_log_ends(bootstrap, {(row.topic, row.partition): row.next_offset for row in rows}), ""
    except UnreachableError as error:
        return {}, error.message


def _as_json(
    rows: "list[LedgerRow]", ends: "dict[Partition, LogEnd]", losses: "list[Loss]", exact: bool
) -> dict[str, object]:
    now = datetime.now(UTC)
    shown = []
    lag: dict[str, object]
    for row in rows:
        end = ends.get((row.topic, row.partition))
        missing = "not on Kafka" if ends and row.topic in merged_topics() else None
        lag = {"end_offset": None, "lag": None, "lag_s": None, "log_problem": missing, "held_back": None}
        if end is not None:
            problem = end.problem(row.next_offset) or None
            behind = end.lag(row.next_offset)
            lag = {
                "end_offset": end.end,
                "lag": behind,
                "lag_s": end.lag_s(now),
                "log_problem": problem,
                "held_back": end.held_back,
            }
        shown.append(row.as_json() | lag)
    named = [
        {
            "what": loss.what,
            "topic": loss.topic,
            "partition": loss.partition,
            "first": loss.offset,
            "last": loss.last_offset,
        }
        for loss in losses
    ]
    return {"ledger": shown, "losses": named, "exact": exact}


def _print(rows: "list[LedgerRow]", ends: "dict[Partition, LogEnd]", losses: "list[Loss]", partitions: bool) -> None:
    from hub.cli.ledger.view import held_back, lag_table, ledger_table, not_on_kafka, position_problems, positions_table
    from hub.operate.ledger.balance import totals_by_topic

    console = screen()
    now = datetime.now(UTC)
    console.print(ledger_table(rows if partitions else totals_by_topic(rows)))
    if ends:
        console.print()
        table = positions_table(rows, ends, now) if partitions else lag_table(rows, ends, now)
        console.print(table if table.row_count else "nothing is behind: all that the log holds is read")
    for waiting in held_back(rows, ends):
        console.print(styled("[yellow]held back:[/yellow] {}", waiting), soft_wrap=True)
    for problem in (*position_problems(rows, ends), *not_on_kafka(rows, ends)):
        console.print(styled("[red]{}[/red]", problem))
    for loss in losses[:_MOST_LOSSES]:
        console.print(styled("[red]missing:[/red] {}", loss), soft_wrap=True)
    if len(losses) > _MOST_LOSSES:
        console.print(f"... and {len(losses) - _MOST_LOSSES} more (--json lists all)")
