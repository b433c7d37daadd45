"""``hub quality``: how good are the data that each source sends?"""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from hub.cli.shared.context import opened
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, say_json
from hub.model.errors import ConfigError
from hub.model.flags import WORDS, Flag, StandingFlag
from hub.operate.ledger.quality import Quality, SourceQuality, read_quality, totals
from hub.warehouse.database import translated_errors

_VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("quality")(quality)


def quality(
    since: Annotated[
        str | None, typer.Option(help="Count events recorded from this time on; a time without offset is Vietnam's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count doubts about what each source sent; show its open questions, its waiting records, and the open flags.

    Values that broke the rule of their kind are counted by field: an optional one was left out, or filled up with the
    zeros that it had lost. A flag never dropped an event. Each event counts once, however often it was sent.

    **Examples**

    - `hub quality`
    - `hub quality --since 2025-07-01`
    - `hub quality --json`
    """
    engine = opened("hub quality").engine
    first = _time(since)
    try:
        with translated_errors("counting doubts"), engine.connect() as connection:
            found = read_quality(connection, first)
    finally:
        engine.dispose()
    if as_json:
        say_json(found.as_json())
    else:
        show_quality(Screen(), found)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError([f"--since {text!r} is not a time; write it as 2025-07-01 or 2025-07-01T08:00"]) from error
    return (time if time.tzinfo else time.replace(tzinfo=_VIETNAM)).astimezone(UTC)


def show_quality(console: Console, found: Quality) -> None:
    """Print counts by source, then what each flag that occurs means."""
    if not found.sources and not found.standing:
        console.print("there are no doubts")
        return
    if found.sources:
        console.print(_by_source(found.sources))
        if any(one.doubtful for one in found.sources):
            console.print(_by_field(found.sources))
    counted = totals(found.sources)
    if counted:
        console.print(_meanings("flag of events", {flag.name or "": count for flag, count in counted.items()}))
    if found.standing:
        console.print(_meanings("standing flag", found.standing))


def _by_source(sources: tuple[SourceQuality, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("source", no_wrap=True)
    table.add_column("flagged", justify="right")
    table.add_column("most often", ratio=1)
    table.add_column("open reviews")
    table.add_column("parked", justify="right")
    for one in sources:
        often = sorted(one.flags.items(), key=lambda item: -item[1])
        table.add_row(
            one.source,
            f"{one.flagged:,}",
            ", ".join(f"{flag.name} {count:,}" for flag, count in often[:4]),
            ", ".join(f"{kind} {count:,}" for kind, count in one.reviews.items()),
            f"{one.parked:,}",
        )
    return table


def _by_field(sources: tuple[SourceQuality, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("source", no_wrap=True)
    table.add_column("value that broke its rule, what became of it, why", ratio=1)
    table.add_column("count", justify="right")
    for one in sources:
        for note, count in one.doubtful.items():
            table.add_row(one.source, note, f"{count:,}")
    return table


def _meanings(heading: str, counts: dict[str, int]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(heading, no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("meaning", ratio=1)
    for name, count in counts.items():
        words = WORDS[Flag[name] if name in Flag.__members__ else StandingFlag(name)]
        table.add_row(name, f"{count:,}", f"{words.vn}: {words.en}")
    return table
