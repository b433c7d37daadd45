"""How a trace looks: one line per event with its hops and the time each took. Fits 100 columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hub.cli.ledger_view import duration
from hub.cli.screen import plain, stacked, styled
from hub.model.outcomes import Outcome
from hub.operate.history import Event
from hub.operate.trace import Passage, Trace
from hub.operate.trace_place import PlaceStory
from hub.topology import subject_of

_GOOD = {Outcome.APPLIED: "green", Outcome.DEAD_LETTERED: "red", Outcome.REJECTED: "red", Outcome.PARKED: "yellow"}


def trace_view(of: Trace, last: int) -> RenderableType:
    """Render the last so many events of a trace, under what it is about; 0: all."""
    shown = of.passages[-last:] if last else of.passages
    left_out = len(of.passages) - len(shown)
    sources = {passage.event.source for passage in of.passages if passage.event.source}
    head = styled(
        "{} [bold]{}[/bold]  {} events of {} sources",
        of.entity.replace("_", " "),
        of.key,
        len(of.passages),
        len(sources),
    )
    lines: list[RenderableType] = [head]
    topics = sorted({passage.event.place.topic for passage in shown})
    lines += [plain(f"log: {topic}", style="dim") for topic in topics]
    lines += [plain(f"portal: {one}", style="dim") for one in sorted({p.published.topic for p in shown if p.published})]
    if left_out:
        lines.append(plain(f"... {left_out} earlier events (--last 0 shows all)"))
    lines.append(_table(shown))
    lines += [plain(f"note: {note}", style="yellow") for note in of.notes]
    return Group(*lines)


def _table(passages: Sequence[Passage]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("happened (UTC)", width=19, no_wrap=True)
    table.add_column("what, by whom", width=19, overflow="fold")
    table.add_column("on the log", width=16, overflow="fold")
    table.add_column("decided", width=25, overflow="fold")
    table.add_column("on the portal", width=13, overflow="fold")
    for passage in passages:
        table.add_row(
            *(stacked(cell) for cell in (_said(passage), _who(passage), _log(passage))),
            stacked(_decided(passage)),
            stacked(_portal(passage)),
        )
    return table


def _said(passage: Passage) -> list[Text]:
    return [plain(_time(passage.event.occurred_at))]


def _who(passage: Passage) -> list[Text]:
    return [plain(subject_of(passage.event.place.topic)), plain(passage.event.source or "source unknown", style="dim")]


def _log(passage: Passage) -> list[Text]:
    place = passage.event.place
    after = _after(passage.event.occurred_at, passage.appended_at)
    return [plain(f"{place.partition}@{place.offset}"), plain(after or "time not known", style="dim")]


def _decided(passage: Passage) -> list[Text]:
    event = passage.event
    lines = [plain(event.outcome.value, style=_GOOD.get(event.outcome, ""))]
    if event.reason:
        lines.append(plain(event.reason))
    if event.parked_at is not None:
        lines.append(plain(f"parked {_after(passage.appended_at, event.parked_at) or ''}", style="dim"))
        lines.append(plain(f"released {_after(event.parked_at, event.recorded_at)}", style="dim"))
    else:
        lines.append(plain(_after(passage.appended_at, event.recorded_at) or _time(event.recorded_at), style="dim"))
    if event.outcome is Outcome.PARKED:
        lines.append(plain(f"waits for {passage.waits_for or 'an earlier event of its key'}"))
    lines += [plain(str(effect)) for effect in passage.effects]
    return lines + [plain(replay) for replay in passage.replays]


def _portal(passage: Passage) -> list[Text]:
    if passage.published is None:
        return [plain("·")]
    one = passage.published
    lines = [
        plain(f"{one.partition}@{one.offset}"),
        plain(_after(passage.event.recorded_at, one.at) or "", style="dim"),
    ]
    return [*lines, plain("gone from it")] if one.is_tombstone else lines


def _time(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _after(before: datetime | None, at: datetime | None) -> str | None:
    """Return how long after another time something was; None when one of them is not known."""
    if before is None or at is None:
        return None
    seconds = (at - before).total_seconds()
    return f"+{duration(seconds)}" if seconds >= 0 else f"-{duration(-seconds)} (clocks)"


def story_view(story: PlaceStory) -> RenderableType:
    """Render what is known of a place of the log, and which commands say more."""
    place = story.place
    lines = [styled("[bold]{}/{}@{}[/bold]", place.topic, place.partition, place.offset)]
    if story.outcome is not None:
        reason = f" {story.reason}: {story.detail}" if story.reason else ""
        lines.append(plain(f"{story.outcome}{reason}, decided {_time(story.decided_at)} UTC"))
    if story.record is not None:
        record = story.record
        size = "no value" if record.value_bytes is None else f"{record.value_bytes:,} bytes"
        lines.append(plain(f"on the log since {_time(record.appended_at)} UTC, {size}"))
        lines += [plain(f"header {name}: {value}") for name, value in record.headers_as_text(is_masked=True).items()]
    lines += [plain(one) for one in story.said]
    return stacked([*lines, *(plain(f"see: {command}", style="dim") for command in story.do)])


def trace_json(of: Trace) -> dict[str, Any]:
    """Return a trace as what ``--json`` prints."""
    return {
        "entity": of.entity,
        "key": str(of.key),
        "notes": list(of.notes),
        "events": [_passage_json(passage) for passage in of.passages],
    }


def _passage_json(passage: Passage) -> dict[str, Any]:
    event, one = passage.event, passage.published
    return {
        "topic": event.place.topic,
        "partition": event.place.partition,
        "offset": event.place.offset,
        "event_id": None if event.event_id is None else str(event.event_id),
        "source": event.source,
        "outcome": event.outcome.value,
        "reason": event.reason,
        "waits_for": passage.waits_for,
        "hops": _hops(event, passage.appended_at, None if one is None else one.at),
        "opened_or_closed": [str(effect) for effect in passage.effects],
        "published": one and {"topic": one.topic, "partition": one.partition, "offset": one.offset},
        "replays": list(passage.replays),
    }


def _hops(event: Event, appended_at: datetime | None, published_at: datetime | None) -> list[dict[str, Any]]:
    """List the hops whose time is known, each with its delay after the one before."""
    decided = [("released", event.recorded_at)] if event.parked_at else [("decided", event.recorded_at)]
    known = [
        ("occurred", event.occurred_at),
        ("appended", appended_at),
        ("parked", event.parked_at),
        *decided,
        ("published", published_at),
    ]
    hops: list[dict[str, Any]] = []
    before: datetime | None = None
    for name, at in known:
        if at is not None:
            after_s = None if before is None else (at - before).total_seconds()
            hops.append({"hop": name, "at": at.isoformat(), "after_s": after_s})
            before = at
    return hops
