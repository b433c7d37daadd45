"""How a trace looks: one line per event with its hops and the time each took. Fits 100 columns."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hub.cli.shared.duration import duration
from hub.cli.shared.screen import plain, stacked, styled
from hub.model.outcomes import Outcome
from hub.operate.log.record import LogRecord, headers_as_text
from hub.operate.records.history import Event
from hub.operate.trace.hops import Passage, Trace
from hub.operate.trace.place import PlaceStory
from hub.operate.trace.portal import Published
from hub.topology import HEADER_POSITION, HEADER_PUBLISHED_AT, subject_of

_GOOD = {Outcome.APPLIED: "green", Outcome.DEAD_LETTERED: "red", Outcome.REJECTED: "red", Outcome.PARKED: "yellow"}


def trace_view(trace: Trace, last: int) -> RenderableType:
    """Render the last events of a trace, under the thing it is about; ``last`` 0: all events."""
    shown = trace.passages[-last:] if last else trace.passages
    left_out = len(trace.passages) - len(shown)
    sources = {passage.event.source for passage in trace.passages if passage.event.source}
    head = styled(
        "{} [bold]{}[/bold]  {} events of {} sources",
        trace.entity.replace("_", " "),
        trace.key,
        len(trace.passages),
        len(sources),
    )
    lines: list[RenderableType] = [head]
    topics = sorted({passage.event.place.topic for passage in shown})
    lines += [plain(f"log: {topic}", style="dim") for topic in topics]
    lines += [plain(f"portal: {one}", style="dim") for one in sorted({p.published.topic for p in shown if p.published})]
    if trace.asked is not None:
        lines += _record_lines(trace.asked)
    if left_out:
        lines.append(plain(f"... {left_out} earlier events (--last 0 shows all)"))
    lines.append(_table(shown))
    if len(trace.passages) == 1:
        lines += _details(trace.passages[0])
    lines += [plain(f"note: {note}", style="yellow") for note in trace.notes]
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
    return [plain(f"{place.partition}/{place.offset}"), plain(after or "time not known", style="dim")]


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
        plain(f"{one.partition}/{one.offset}"),
        plain(_after(passage.event.recorded_at, one.at) or "", style="dim"),
    ]
    return [*lines, plain("gone from it")] if one.is_tombstone else lines


def _time(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _after(before: datetime | None, at: datetime | None) -> str | None:
    """Return how much time passed between two times; None if one of them is not known."""
    if before is None or at is None:
        return None
    seconds = (at - before).total_seconds()
    return f"+{duration(seconds)}" if seconds >= 0 else f"-{duration(-seconds)} (clocks)"


def _details(passage: Passage) -> list[Text]:
    """Return what Kafka says of one event: when its record was appended, its headers, and those of the publication."""
    lines = []
    if passage.appended_at is not None:
        lines.append(plain(f"on the log since {_moment(passage.appended_at)} UTC, by Kafka's time"))
    lines += _header_lines(headers_as_text(passage.headers, is_masked=True))
    one = passage.published
    if one is not None:
        lines.append(plain(f"on the portal: {one.topic}/{one.partition}/{one.offset} since {_moment(one.at)} UTC"))
        told = {HEADER_PUBLISHED_AT: one.published_at, HEADER_POSITION: one.position}
        lines += _header_lines({name: value for name, value in told.items() if value})
    return lines


def _record_lines(record: LogRecord, is_named: bool = True) -> list[Text]:
    place = record.place
    size = "no value" if record.value_bytes is None else f"{record.value_bytes:,} bytes"
    name = f"{place.topic}/{place.partition}/{place.offset}: " if is_named else ""
    lines = [plain(f"{name}on the log since {_moment(record.appended_at)} UTC, {size}")]
    return lines + _header_lines(record.headers_as_text(is_masked=True))


def _header_lines(headers: Mapping[str, str]) -> list[Text]:
    return [plain(f"  header {name}: {value}") for name, value in headers.items()]


def _moment(at: datetime | None) -> str:
    """Return a time to the millisecond, as Kafka keeps it."""
    return "unknown" if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def story_view(story: PlaceStory) -> RenderableType:
    """Render what is known of a place in the log, and which commands show more."""
    place = story.place
    lines = [styled("[bold]{}/{}/{}[/bold]", place.topic, place.partition, place.offset)]
    if story.outcome is not None:
        reason = f" {story.reason}: {story.detail}" if story.reason else ""
        lines.append(plain(f"{story.outcome}{reason}, decided {_time(story.decided_at)} UTC"))
        if story.detail and not story.reason:
            lines.append(plain(f"values that broke their rule: {story.detail}", style="yellow"))
    if story.record is not None:
        lines += _record_lines(story.record, is_named=False)
    lines += [plain(one) for one in story.said]
    return stacked([*lines, *(plain(f"see: {command}", style="dim") for command in story.do)])


def trace_json(trace: Trace) -> dict[str, Any]:
    """Return a trace as what ``--json`` prints."""
    return {
        "entity": trace.entity,
        "key": str(trace.key),
        "notes": list(trace.notes),
        "asked": trace.asked and _asked_json(trace.asked),
        "events": [_passage_json(passage) for passage in trace.passages],
    }


def _asked_json(record: LogRecord) -> dict[str, Any]:
    place = record.place
    return {
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "appended_at": record.appended_at and record.appended_at.isoformat(),
        "headers": dict(record.headers_as_text(is_masked=True)),
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
        "appended_at": passage.appended_at and passage.appended_at.isoformat(),
        "headers": headers_as_text(passage.headers, is_masked=True),
        "published": one and _published_json(one),
        "replays": list(passage.replays),
    }


def _published_json(one: Published) -> dict[str, Any]:
    return {
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "published_at": one.published_at,
        "position": one.position,
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
