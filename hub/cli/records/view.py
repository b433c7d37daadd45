"""How one thing looks on a terminal: claims, conflicts, other facts, history; in 100 columns."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hub.cli.shared.screen import plain
from hub.model.envelope import NO_DATA
from hub.model.flags import flags_in
from hub.operate.records.beside import Beside
from hub.operate.records.claims import Claim, Rule, Side
from hub.operate.records.history import Event
from hub.operate.records.request import Answer
from hub.operate.records.thing import Shown
from hub.operate.records.times import ZONE_NAME, local

_BESIDE_THE_RECORD = 2
"""How many other claims are next to the record's claim in one table; more go into another table."""

_DIFFERS = "≠ "
_DIGEST = 8


def render(answer: Answer) -> RenderableType:
    """Return the whole screen."""
    shown, key = answer.shown, answer.shown.key
    parts: list[RenderableType] = [_head(answer)]
    for side in shown.sides:
        if side.key != key:
            parts += [plain(""), plain(f"the same thing under its key {side.key}", style="bold")]
        key = side.key
        parts += [plain(""), *_side(side)]
    if not shown.sides:
        parts += [
            plain(""),
            plain("no source says anything about it" + (" yet" if not shown.limits.are_set else " there")),
        ]
    parts += _beside(shown)
    if shown.events:
        parts += [plain(""), *_history(shown)]
    return Group(*parts)


def _head(answer: Answer) -> RenderableType:
    shown = answer.shown
    title = Text.assemble((shown.entity.name.replace("_", " "), "bold"), f" {shown.key}")
    hidden = "personal values masked" if answer.is_masked else "personal values shown: noted in the table action"
    lines = [title, plain(f"times: {ZONE_NAME}; {hidden}", style="dim")]
    if shown.limits.as_of is not None:
        lines.append(plain(f"what held at {local(shown.limits.as_of)} (valid time)", style="bold yellow"))
    if shown.limits.known_at is not None:
        lines.append(plain(f"as the hub knew it at {local(shown.limits.known_at)} (record time)", style="bold yellow"))
    lines += [plain(f"note: {note}", style="yellow") for note in shown.notes]
    return Group(*lines)


def _side(side: Side) -> Iterator[RenderableType]:
    name = side.aspect.name + (f" {'/'.join(side.part)}" if side.part else "")
    yield Text.assemble((name, "bold"), "  ", _verdict(side))
    others = [claim for claim in side.claims if claim is not side.holder]
    held = [side.holder] if side.holder is not None else []
    for start in range(0, max(len(others), 1), _BESIDE_THE_RECORD):
        yield _claims([*held, *others[start : start + _BESIDE_THE_RECORD]], side)
    if side.conflicts:
        yield _conflicts(side)


def _verdict(side: Side) -> Text:
    won = side.won
    if won.holder is None:
        return plain(f"held by nobody: {won.rule.value}", style="red")
    over = {
        Rule.AUTHORITY: f" than {won.over}",
        Rule.LATER: f": later than {won.over}",
        Rule.SOURCE_ORDER: f": before {won.over}",
        Rule.DECIDED: f", before {won.over}" if won.over else "",
        Rule.TOOK_BACK: f": {won.over}",
        Rule.UNEXPLAINED: f"; the rules give {won.over}",
    }.get(won.rule, "")
    return Text.assemble("record of ", (won.holder, "bold green"), f": {won.rule.value}{over}")


def _claims(claims: Sequence[Claim], side: Side) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", style="dim", no_wrap=True, max_width=26, overflow="ellipsis")
    for claim in claims:
        table.add_column(_source(claim, side), overflow="fold", ratio=None)
    for label, cells in _rows(claims):
        table.add_row(label, *cells)
    return Padding(table, (0, 0, 0, 2))


def _source(claim: Claim, side: Side) -> Text:
    if claim is side.holder:
        return Text.assemble((claim.source, "bold green"), " holds")
    if not claim.is_standing:
        return plain(
            f"{claim.source} withdrew it" if claim.speaker.rank is not None else f"{claim.source}: no authority"
        )
    return plain(claim.source, style="bold")


def _rows(claims: Sequence[Claim]) -> Iterator[tuple[str, list[Text]]]:
    yield "authority", [_plain(_authority(claim)) for claim in claims]
    yield "version", [_plain(f"{claim.epoch}.{claim.version} {claim.operation}") for claim in claims]
    yield "occurred", [_plain(local(claim.occurred_at)) for claim in claims]
    yield "recorded", [_plain(local(claim.recorded_at)) for claim in claims]
    if any(claim.flags for claim in claims):
        yield "flags", [plain(_flags(claim.flags), style="yellow") for claim in claims]
    if any(claim.doubtful for claim in claims):
        yield "doubtful fields", [plain(claim.doubtful or "", style="yellow") for claim in claims]
    for name in dict.fromkeys(name for claim in claims for name in claim.fields):
        if any(claim.fields.get(name) is not None for claim in claims):
            yield name, [_value(claim, name) for claim in claims]


def _authority(claim: Claim) -> str:
    rank = "none" if claim.speaker.rank is None else f"rank {claim.speaker.rank}"
    return f"{rank}, {claim.speaker.role}, {claim.speaker.agency}"


def _plain(text: str) -> Text:
    return plain(text, style="dim")


def _value(claim: Claim, name: str) -> Text:
    value = claim.fields.get(name)
    if value is None:
        return plain("-", style="dim")
    if name in claim.differs:
        return plain(_DIFFERS + brief(value), style="bold red")
    return plain(brief(value))


def brief(value: Any) -> str:
    """Return a value as one text; empty parts of lists and records are left out."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={brief(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        return "; ".join(brief(part) for part in value)
    if isinstance(value, datetime):
        return local(value)
    return str(value)


def _flags(mask: int | None) -> str:
    return ", ".join(flag.name or "" for flag in flags_in(mask))


def _conflicts(side: Side) -> RenderableType:
    lines = []
    for one in side.conflicts:
        state = "open" if one.closed_at is None else "closed"
        since = f", since {_minute(one.opened_at)}" if one.opened_at else ""
        until = f" until {_minute(one.closed_at)}" if one.closed_at else ""
        style = "red" if one.closed_at is None else "dim"
        number = f" {one.number}" if one.number else ""
        told = f"{number} {one.field}: {one.source} against {one.held_by}{since}{until}"
        lines.append(Text.assemble((f"conflict {state}", style), told))
    return Padding(Group(*lines), (0, 0, 0, 2))


def _minute(when: datetime | None) -> str:
    return local(when)[: len("2025-07-01 00:00")]


def _beside(shown: Shown) -> list[RenderableType]:
    beside, parts = shown.beside, list[RenderableType]()
    own = shown.key if len(shown.keys) < 2 else None
    listed: list[tuple[str, Sequence[tuple[str, ...]]]] = [
        ("reviews", _questions(beside)),
        ("decisions", _decisions(beside)),
        ("keys of the same thing", _same(beside)),
        ("links", [(link.kind, f"{link.key} = {link.other}", link.source) for link in beside.links]),
        ("names", [(naming.field, f"{naming.entity} {naming.key}") for naming in beside.names]),
        ("named by", [(naming.entity, str(naming.key), naming.field) for naming in beside.named_by]),
        ("parked events", _parked(beside)),
        *((title, [(_told(row, own),) for row in rows]) for title, rows in beside.rows.items()),
    ]
    for title, rows in listed:
        if rows:
            parts += [plain(""), plain(title, style="bold"), _listed(rows)]
    return parts


def _questions(beside: Beside) -> list[tuple[str, ...]]:
    return [
        (
            f"{one.number} {one.kind}",
            " ".join(part for part in (one.aspect, one.part, one.field) if part),
            one.source or "",
            f"open since {_minute(one.opened_at)}" if one.closed_at is None else f"closed {_minute(one.closed_at)}",
            brief(one.detail) if one.detail is not None else "",
        )
        for one in beside.questions
    ]


def _decisions(beside: Beside) -> list[tuple[str, ...]]:
    return [
        (
            f"{one.verdict} {one.kind} "
            + " ".join(part for part in (one.aspect, one.part, one.field, one.source) if part)
            + f" - {one.officer}, {_minute(one.decided_at)}: {one.reason}",
        )
        for one in beside.decisions
    ]


def _same(beside: Beside) -> list[tuple[str, ...]]:
    return [(str(key), "published under this one" if key == beside.canonical else "") for key in beside.same]


def _parked(beside: Beside) -> list[tuple[str, ...]]:
    return [
        (
            one.subject,
            one.source,
            f"waits for {one.waits_for}" if one.waits_for else "behind an earlier one",
            f"since {_minute(one.parked_at)}",
        )
        for one in beside.parked
    ]


def _told(row: Mapping[str, Any], own: UUID | None) -> str:
    """Return one line about a row; the key of a thing with only one key is left out."""
    told = {name: value for name, value in row.items() if value is not None and (own is None or value != own)}
    return ", ".join(f"{name.replace('_', ' ')} {brief(value)}" for name, value in told.items())


def _listed(rows: Sequence[tuple[str, ...]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for _ in range(max(map(len, rows))):
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    return Padding(table, (0, 0, 0, 2))


def _history(shown: Shown) -> Iterator[RenderableType]:
    yield plain(f"history: {len(shown.events)} events, as the hub took them", style="bold")
    for event in shown.events:
        yield _event(event)


def _event(event: Event) -> RenderableType:
    version = "" if event.version is None else f"{event.epoch}.{event.version}"
    outcome = event.outcome.value + (f" {event.reason}" if event.reason else "")
    head = Text.assemble(
        f"  {local(event.recorded_at)}  ",
        (outcome, _STYLES.get(event.outcome.value, "")),
        f"  {event.aspect}  {event.source or 'source unknown'} {version}",
    )
    lines: list[RenderableType] = [head, Padding(plain(_coordinates(event), style="dim"), (0, 0, 0, 6))]
    return Group(*lines, Padding(plain(_said(event)), (0, 0, 0, 6)))


_STYLES = {"applied": "green", "rejected": "red", "dead_lettered": "red", "parked": "yellow", "stale": "dim"}


def _coordinates(event: Event) -> str:
    place, flags = event.place, _flags(event.flags)
    happened = f"happened {local(event.occurred_at)}" if event.occurred_at else "happened at no known time"
    parked = f", parked {local(event.parked_at)} and released" if event.parked_at else ""
    where = f"{place.topic}/{place.partition}/{place.offset}, policy {event.policy_digest[:_DIGEST]}"
    return f"{happened}{parked}; {where}" + (f", {flags}" if flags else "")


def _said(event: Event) -> str:
    if event.values is None:
        return "values not read"
    values = {name: value for name, value in event.values.items() if name not in NO_DATA}
    told = event.changed if event.is_accepted else tuple(name for name, value in values.items() if value is not None)
    return f"{event.values['operation']}: " + ", ".join(
        f"{name}={brief(values[name]) if values[name] is not None else 'null'}" for name in told
    )
