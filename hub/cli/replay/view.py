"""How plans, replays, differences and verifications look on a terminal; fits 100 columns."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hub.cli.shared.screen import styled
from hub.topology import subject_of

if TYPE_CHECKING:
    from hub.operate.replay.diff import Diff, Sample
    from hub.operate.replay.plan import Planned
    from hub.operate.replay.store import PlaceOfReplay, Replay
    from hub.operate.replay.verify import Verified

_PROVENANCE = frozenset({"source_epoch", "source_version", "revoked", "occurred_at", "operation", "unit_scheme"})
"""Fields of an added or removed row that only ``--json`` shows."""
_MOST_FIELDS = 4
_MOST_CHARACTERS = 96
_MEGABYTE = 1_000_000


def print_plan(console: Console, planned: "Planned") -> None:
    """Print a plan: what is read, what is withdrawn, what it costs, what comes next."""
    cost, selection = planned.estimate, planned.selection
    read = sum(one.first < one.end for one in selection.ranges)
    timed = selection.since is not None or selection.until is not None
    console.print(styled("replay [bold]{}[/bold]: {}", planned.id, "; ".join(planned.words)))
    kind = (
        "whole rebuild, from nothing" if selection.is_whole else f"partial: {cost.claims:,} claims are withdrawn first"
    )
    rows = [
        ("kind", kind),
        ("reads", f"{cost.reads:,} events of {read} log partitions, up to fixed ends"),
        ("counts", f"about {cost.selected:,}, by when the hub merged them" if timed else f"{cost.selected:,} of them"),
        ("takes", f"about {_duration(cost.seconds)} at {cost.events_per_s:,.0f}/s ({_measured(cost.is_measured)})"),
        ("room", f"about {cost.bytes / _MEGABYTE:,.0f} MB in the database"),
        ("publishes", "the records that differ, once live" if planned.publish else "nothing"),
    ]
    _print_pairs(console, rows)
    if selection.is_narrowed:
        console.print(
            styled("[yellow]what the scope says by omitted events will be missing in the replayed state[/yellow]")
        )
    console.print(f"nothing is read yet; `hub replay run {planned.id} --execute --reason TEXT` does it")


def _measured(is_measured: bool) -> str:
    return "measured by the last replay" if is_measured else "assumed: none has run here yet"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def _print_pairs(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def replay_table(replays: Sequence["Replay"]) -> Table:
    """Return the list of replays."""
    table = Table("id", "state", "planned", "by", "selects", "publishes", box=None, pad_edge=False)
    for one in replays:
        asked = f" ({one.asked.value.lower()} asked)" if one.asked else ""
        words = "; ".join(one.words)
        made = f"{one.made_at:%Y-%m-%d %H:%M}"
        table.add_row(str(one.id), one.state_shown + asked, made, one.made_by, words, "yes" if one.publish else "no")
    return table


def print_replay(
    console: Console, replay: "Replay", places: Sequence["PlaceOfReplay"], held: bool, behind: int
) -> None:
    """Print one replay with its progress."""
    console.print(styled("replay [bold]{}[/bold] is {}: {}", replay.id, replay.state_shown, "; ".join(replay.words)))
    rows = [
        ("planned", f"{replay.made_at:%Y-%m-%d %H:%M:%S} UTC by {replay.made_by}: {replay.why}"),
        ("under", f"policy {replay.policy_digest[:12]}, tables of revision {replay.revision}"),
        ("kind", "whole rebuild" if replay.selection.is_whole else "partial"),
        ("publishes", "the records that differ, once live" if replay.publish else "nothing"),
        ("worked on", "by a process now" if held else "by no process now"),
        *_failure(replay),
        ("behind", f"{behind:,} events that the live warehouse has consumed" if places else "not begun"),
    ]
    _print_pairs(console, rows)
    if not places:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("log partition", no_wrap=True)
    for heading in ("from", "plan's end", "stands at", "read", "counted"):
        table.add_column(heading, justify="right")
    for place in places:
        if place.read or place.first_offset < place.end_offset:
            numbers = (place.first_offset, place.end_offset, place.next_offset, place.read, place.selected)
            table.add_row(f"{subject_of(place.topic)}/{place.partition}", *(f"{number:,}" for number in numbers))
    console.print(table)


def _failure(replay: "Replay") -> list[tuple[str, str]]:
    if replay.failure is None or replay.failed_at is None:
        return []
    return [("failed", f"{replay.failed_at:%Y-%m-%d %H:%M:%S} UTC: {replay.failure}")]


def print_diff(console: Console, diff: "Diff") -> None:
    """Print what a replay would change: one line for each table, then samples."""
    if diff.behind:
        console.print(
            styled(
                "[yellow]the live warehouse is {:,} events ahead: what they changed shows as differences[/yellow]",
                diff.behind,
            )
        )
    if not diff.tables:
        console.print(styled("replay {}: [green]no difference[/green]", diff.id))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("table", no_wrap=True)
    for heading in ("added", "changed", "removed"):
        table.add_column(heading, justify="right")
    table.add_column("fields changed")
    for one in diff.tables:
        table.add_row(one.table, *(_count(n) for n in (one.added, one.changed, one.removed)), _fields(one.fields))
    console.print(table)
    for one in diff.tables:
        for sample in one.samples:
            console.print(_sample(one.table, sample), overflow="ellipsis", no_wrap=True)


def _count(number: int) -> str:
    return f"{number:,}" if number else "·"


def _fields(fields: Mapping[str, int]) -> str:
    named = [f"{name} {count:,}" for name, count in list(fields.items())[:_MOST_FIELDS]]
    return ", ".join(named) + (f", {len(fields) - _MOST_FIELDS} more" if len(fields) > _MOST_FIELDS else "")


def _sample(table: str, sample: "Sample") -> str:
    row = " ".join(str(value) for value in sample.row.values() if value not in (None, ""))
    mark = {"added": "+", "removed": "-", "changed": "~"}[sample.change]
    if sample.before is not None and sample.after is not None:
        said = ", ".join(
            f"{name}: {_short(sample.before[name])} -> {_short(value)}" for name, value in sample.after.items()
        )
    else:
        fields = (sample.after or sample.before or {}).items()
        said = ", ".join(f"{name}: {_short(value)}" for name, value in fields if name not in _PROVENANCE)
    return f"{mark} {table} {row}\n    {said}"[: 2 * _MOST_CHARACTERS]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 24 else text[:23] + "…"


def print_verified(console: Console, verified: "Verified") -> None:
    """Print whether a rebuild equals the live warehouse."""
    rate = verified.events / verified.seconds if verified.seconds else 0.0
    console.print(f"rebuilt from {verified.events:,} events in {_duration(verified.seconds)} ({rate:,.0f}/s)")
    compared = f"{sum(verified.rows.values()):,} rows of {len(verified.rows)} tables compared"
    if not verified.differing:
        console.print(styled("[green]equal[/green], row for row: {}", compared))
        return
    console.print(styled("[red]NOT equal[/red]: {}", compared))
    for line in verified.differing:
        console.print(line)
