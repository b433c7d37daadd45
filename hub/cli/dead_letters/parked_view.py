"""How parked records are printed: tables that fit 100 columns, and the same as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from hub.cli.shared.screen import plain, styled
from hub.log.places import place_text
from hub.operate.dead_letters.parked import Awaited, ParkedRecord, Queue


def listed(queues: Sequence[Queue]) -> Table:
    """Return the table of some queues."""
    table = Table(box=None, pad_edge=False)
    for heading in ("first record", "waits for", "source", "for", "behind", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading in {"for", "behind"} else "left")
    for one in queues:
        first = f"{one.subject}/{one.first.partition}/{one.first.offset}"
        waits = ", ".join(one.waits_for) or "the next sweep"
        let_in = "let in" if one.is_let_in else ""
        table.add_row(first, waits, ", ".join(one.sources), _age(one.since), f"{one.behind:,}", let_in)
    return table


def awaited(found: Sequence[Awaited]) -> Table:
    """Return the table of what is waited for."""
    table = Table(box=None, pad_edge=False)
    for heading in ("waited for", "by", "records", "keys", "for"):
        table.add_column(heading, overflow="fold", justify="left" if heading in {"waited for", "by"} else "right")
    for one in found:
        table.add_row(one.waits_for, one.subject, f"{one.records:,}", f"{one.keys:,}", _age(one.since))
    return table


def shown(queue: Queue, records: Sequence[ParkedRecord]) -> RenderableType:
    """Return a queue with its records."""
    head = f"{queue.subject} key {queue.key}: {queue.records:,} wait since {queue.since:%Y-%m-%d %H:%M} UTC"
    parts: list[RenderableType] = [styled("[bold]{}[/bold]", head)]
    for one in records:
        waits = f"waits for {one.waits_for}" if one.waits_for else "waits behind the one before"
        let_in = "; released by a decision" if one.is_let_in else ""
        parts.append(plain(f"{place_text(one.place)} from {one.source}: {waits}{let_in}"))
        fields = one.fields or {}
        parts += [plain(f"  {name}: {value}") for name, value in fields.items() if value is not None]
    return Group(*parts)


def as_json(one: Queue) -> dict[str, Any]:
    """Return a queue."""
    return {
        "first": place_text(one.first),
        "subject": one.subject,
        "key": str(one.key),
        "waits_for": list(one.waits_for),
        "sources": list(one.sources),
        "since": one.since.isoformat(),
        "records": one.records,
        "behind": one.behind,
        "let_in": one.is_let_in,
    }


def awaited_as_json(one: Awaited) -> dict[str, Any]:
    """Return something that is waited for."""
    return {
        "waits_for": one.waits_for,
        "subject": one.subject,
        "records": one.records,
        "keys": one.keys,
        "since": one.since.isoformat(),
    }


def record_as_json(one: ParkedRecord) -> dict[str, Any]:
    """Return a parked record."""
    return {
        "record": place_text(one.place),
        "source": one.source,
        "waits_for": one.waits_for,
        "parked_at": one.parked_at.isoformat(),
        "let_in": one.is_let_in,
        "fields": one.fields and {name: str(value) for name, value in one.fields.items() if value is not None},
    }


def _age(since: datetime) -> str:
    hours = (datetime.now(UTC) - since).total_seconds() / 3600
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"
