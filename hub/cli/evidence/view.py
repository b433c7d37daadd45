"""How ``hub audit`` shows what it found: tables that fit 100 columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hub.cli.shared.screen import Screen, plain, screen, stacked, styled
from hub.topology import subject_of

if TYPE_CHECKING:
    from hub.operate.evidence.check import Step
    from hub.operate.evidence.retention import Retirement
    from hub.operate.evidence.search import EvidenceFound
    from hub.operate.evidence.status import EvidenceStatus, KnownKey
    from hub.operate.evidence.verify import Verification

_MOST_SHOWN = 50
_MOST_NAMED = 5


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that adds to a count shown on standard error while it grows, if that is a terminal."""
    errors = Screen(stderr=True)
    columns = (TextColumn("{task.completed:,} {task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)


def show_status(found: "EvidenceStatus", problems: Sequence[str]) -> None:
    """Print the state of the evidence."""
    console = screen()
    table = Table(box=None, pad_edge=False, show_header=False)
    signed = (
        f"{found.head:,} at {found.signed_at:%Y-%m-%d %H:%M:%S} UTC by key {found.key_id}" if found.head else "none"
    )
    table.add_row("seals", f"{found.seals:,}")
    table.add_row("newest head", signed)
    table.add_row("newest published", f"{found.published:,}" if found.published else "none")
    since = found.unproven_since
    table.add_row("rows in no published head", "none" if since is None else f"since {since:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("months", ", ".join(found.months))
    console.print(table)
    for problem in problems:
        console.print(styled("[red]{}[/red]", problem))
    if not problems:
        console.print(styled("[green]evidence is written[/green]"))


def show_verification(found: "Verification") -> None:
    """Print what a verification found."""
    console = screen()
    published = "not read" if found.published is None else f"{found.published:,} published"
    console.print(f"{found.heads:,} heads ({published}), {found.seals:,} seals, {found.rows:,} rows verified")
    if found.records is not None:
        gone = f"; {found.gone:,} are no longer in the log" if found.gone else ""
        console.print(f"{found.records:,} records of the log compared with their rows{gone}")
    if found.retired_seals:
        console.print(f"{found.retired_seals:,} seals of months that were dropped after their time: links only")
    if found.unsealed:
        console.print(f"{found.unsealed:,} places are not sealed yet")
    if found.is_whole:
        console.print(styled("[green]whole[/green]: nothing was deleted, inserted, reordered or altered"))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("wrong", "where", "what"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "wrong")
    for one in found.findings[:_MOST_SHOWN]:
        table.add_row(styled("[red]{}[/red]", one.wrong), one.where, one.words)
    console.print(table)
    rest = len(found.findings) - _MOST_SHOWN
    console.print(
        styled("[red]NOT whole[/red]: {:,} findings", len(found.findings)) + (", --json for all" if rest > 0 else "")
    )


def show_steps(steps: Sequence["Step"], bundle: Mapping[str, Any]) -> None:
    """Print the checks of a bundle, and what it proves."""
    console = screen()
    for step in steps:
        console.print(styled("[green]holds[/green]") if step.holds else styled("[red]FAILS[/red]"), step.words)
    if not all(step.holds for step in steps):
        console.print(styled("[red]not proven[/red]"))
        return
    for proof in bundle["proofs"]:
        row = proof["row"]
        reason = f" ({row['reason']})" if row["reason"] else ""
        console.print(
            styled(
                "[green]proven[/green]: {}/{}: [bold]{}[/bold]{}, recorded {}, from {}, key {}",
                proof["chain"],
                proof["place"],
                row["outcome"],
                reason,
                row["recorded_at"],
                row["source_code"],
                row["key"],
            )
        )


def show_found(found: "EvidenceFound") -> None:
    """Print the events and actions of a search."""
    console = screen()
    if found.events:
        table = Table(box=None, pad_edge=False, title="events", title_justify="left")
        for heading in ("event, place", "key, outcome", "recorded (UTC)", "source"):
            table.add_column(heading)
        for row in found.events:
            outcome = row["outcome"] + (f" {row['reason']}" if row["reason"] else "")
            place = f"{subject_of(row['topic'])}/{row['partition']}/{row['log_offset']}"
            event = stacked([plain(row["event_id"] or "event id unknown"), plain(place, style="dim")])
            key = stacked([plain(row["key"] or "no key"), plain(outcome, style="dim")])
            table.add_row(event, key, f"{row['recorded_at']:%y-%m-%d %H:%M:%S}", row["source"] or "")
        console.print(table)
    if found.actions:
        table = Table(box=None, pad_edge=False, title="actions", title_justify="left")
        for heading in ("at (UTC)", "who, did", "why, to what"):
            table.add_column(heading, overflow="fold")
        for row in found.actions:
            what = [plain(text, style="dim") for text in _what(row)]
            who = stacked([plain(row["actor"]), plain(row["action"], style="dim")])
            table.add_row(f"{row['at']:%y-%m-%d %H:%M:%S}", who, stacked([plain(row["purpose"]), *what]))
        console.print(table)
    if not found.events and not found.actions:
        console.print("nothing found")


def _what(row: Mapping[str, Any]) -> list[str]:
    """Return what an action was done to, a line for the key and one for each detail; long lists are cut short."""
    lines = [f"{row['entity'] or 'key'} {row['key']}"] if row["key"] else []
    for name, value in (row["detail"] or {}).items():
        if isinstance(value, list):
            some = ", ".join(_short(one) for one in value[:_MOST_NAMED])
            more = f" and {len(value) - _MOST_NAMED:,} more, --json for all" if len(value) > _MOST_NAMED else ""
            lines.append(f"{name}: {some}{more}")
        elif value is not None:
            lines.append(f"{name}: {_short(value)}")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_short(inner)}" for name, inner in value.items() if inner is not None)
    return str(value)


def show_keys(found: Sequence["KnownKey"]) -> None:
    """Print the keys that signed heads, two lines each: a public key is as long as most terminals are wide."""
    console = screen()
    for one in found:
        heads = f"{one.first_head:,}" if one.first_head == one.last_head else f"{one.first_head:,}-{one.last_head:,}"
        used = f"{one.first_used_at:%Y-%m-%d %H:%M}"
        console.print(styled("key [bold]{}[/bold]  first used {} UTC, heads {}", one.key_id, used, heads))
        console.print(f"public {one.public_key}", soft_wrap=True)
    if not found:
        console.print("no head was signed yet")


def show_retirements(plan: Sequence["Retirement"], executed: bool) -> None:
    """Print which months are dropped, or why not."""
    console = screen()
    if not plan:
        console.print("no month is older than the months to keep")
        return
    for one in plan:
        state = (
            styled("[green]verified[/green]") if not one.problems else styled("[red]{}[/red]", "; ".join(one.problems))
        )
        console.print(styled("{}: {:,} rows, {}", one.month.name, one.rows, state))
    console.print("dropped" if executed else "nothing is dropped; add --execute and --reason")
