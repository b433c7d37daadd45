"""The quality of each source's data: doubts about its events, open questions about its claims, what waits.

An event counts once, however often it was repeated: duplicates and refused events are left out. A parked record
counts when it was released.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, func, select, union_all

from hub.model.flags import Flag
from hub.model.outcomes import Outcome
from hub.model.values.doubtful import SEPARATOR
from hub.reconcile.shared.decisions import is_decided
from hub.topology import subject_of
from hub.warehouse.tables.core import audit, batch, late_flag, log_partition, parked, release, review, source
from hub.warehouse.tables.people import flag

COUNTED = (Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.STALE)
"""Outcomes of events that arrived for the first time."""


@dataclass(slots=True)
class SourceQuality:
    """Doubts about one source.

    Fields:
        flagged: how many of its events have a flag; ``flags``: how many have each flag.
        doubtful: how often a value of its events broke its rule, by field, what became of it and why.
        reviews: its open questions by kind; ``parked``: how many of its records wait now.
    """

    source: str
    flagged: int = 0
    flags: dict[Flag, int] = field(default_factory=dict)
    doubtful: dict[str, int] = field(default_factory=dict)
    reviews: dict[str, int] = field(default_factory=dict)
    parked: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return ``source``, ``flagged``, ``flags`` by name, ``doubtful``, ``reviews`` by kind, ``parked``."""
        return {
            "source": self.source,
            "flagged": self.flagged,
            "flags": {flag.name: count for flag, count in self.flags.items()},
            "doubtful_fields": self.doubtful,
            "reviews": self.reviews,
            "parked": self.parked,
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """Doubts by source, and by name the open flags on what the hub holds."""

    sources: tuple[SourceQuality, ...]
    standing: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return ``sources`` and ``standing``."""
        return {"sources": [one.as_json() for one in self.sources], "standing": self.standing}


def read_quality(connection: Connection, since: datetime | None = None) -> Quality:
    """Return the doubts about every source that has any, by its code.

    Args:
        connection: of the warehouse.
        since: count events that the hub recorded at or after this time; reviews, parked records and open flags
            are always those of now.
    """
    found: dict[str, SourceQuality] = {}
    for row in connection.execute(flags_by_source(since)).mappings():
        one = found.setdefault(row["code"], SourceQuality(row["code"]))
        one.flagged = row["flagged"]
        one.flags = {name: row[str(name.name)] for name in Flag if row[str(name.name)]}
    for code, topic, note, count in connection.execute(doubtful_by_source(since)):
        doubtful, said = found.setdefault(code, SourceQuality(code)).doubtful, f"{subject_of(topic)}: {note}"
        doubtful[said] = doubtful.get(said, 0) + count
    for code, kind, count in connection.execute(_open_reviews()):
        found.setdefault(code, SourceQuality(code)).reviews[kind] = count
    for code, count in connection.execute(_parked()):
        found.setdefault(code, SourceQuality(code)).parked = count
    standing = {name: count for name, count in connection.execute(_standing())}
    return Quality(tuple(found[code] for code in sorted(found)), standing)


def totals(sources: tuple[SourceQuality, ...]) -> dict[Flag, int]:
    """Add up the flags of all sources, in the order of the flags; flags that do not occur are left out."""
    sums: dict[Flag, int] = defaultdict(int)
    for one in sources:
        for name, count in one.flags.items():
            sums[name] += count
    return {name: sums[name] for name in Flag if name in sums}


def flags_by_source(since: datetime | None) -> Select[Any]:
    """Count flagged events by source: ``code``, ``flagged``, and a column for each flag, by its name."""
    events = union_all(*(_flagged(table, since) for table in (audit, release))).subquery()
    counts = (func.count().filter(events.c.flags.bitwise_and(int(name)) != 0).label(str(name.name)) for name in Flag)
    return (
        select(source.c.code, func.count().label("flagged"), *counts)
        .join_from(events, source, source.c.id == events.c.source)
        .group_by(source.c.code)
    )


def doubtful_by_source(since: datetime | None) -> Select[Any]:
    """Count values that broke their rule: source's code, topic, note (hub.model.values.doubtful), how often."""
    events = union_all(*(_doubtful(table, since) for table in (audit, release))).subquery()
    topic = log_partition.c.topic
    return (
        select(source.c.code, topic, events.c.note, func.count())
        .join_from(events, source, source.c.id == events.c.source)
        .join(log_partition, log_partition.c.id == events.c.log)
        .group_by(source.c.code, topic, events.c.note)
        .order_by(source.c.code, func.count().desc(), topic, events.c.note)
    )


def _flagged(table: Table, since: datetime | None) -> Select[Any]:
    late = and_(late_flag.c.log == table.c.log, late_flag.c.log_offset == table.c.log_offset)
    flags = func.coalesce(table.c.flags, 0).bitwise_or(func.coalesce(late_flag.c.flags, 0))
    rows = (
        select(table.c.source, flags.label("flags"))
        .join_from(table, late_flag, late, isouter=True)
        .where(flags != 0, table.c.outcome.in_(_COUNTED))
    )
    return _since(rows, table, since)


def _doubtful(table: Table, since: datetime | None) -> Select[Any]:
    has_notes = table.c.flags.bitwise_and(int(Flag.FIELD_DROPPED | Flag.LEADING_ZEROS_LOST)) != 0
    notes = func.unnest(func.string_to_array(table.c.detail, SEPARATOR)).label("note")
    rows = select(table.c.log, table.c.source, notes).where(has_notes, table.c.outcome.in_(_COUNTED))
    return _since(rows, table, since)


_COUNTED = [outcome.value for outcome in COUNTED]


def _since(rows: Select[Any], table: Table, since: datetime | None) -> Select[Any]:
    if since is None:
        return rows
    first = select(func.min(batch.c.id)).where(batch.c.recorded_at >= since).scalar_subquery()
    return rows.where(table.c.batch >= first)


@cache
def _open_reviews() -> Select[Any]:
    return (
        select(source.c.code, review.c.kind, func.count())
        .join_from(review, source, source.c.id == review.c.source)
        .where(review.c.closed_at.is_(None), ~is_decided())
        .group_by(source.c.code, review.c.kind)
        .order_by(review.c.kind)
    )


@cache
def _parked() -> Select[Any]:
    return (
        select(source.c.code, func.count())
        .join_from(parked, source, source.c.id == parked.c.source)
        .group_by(source.c.code)
    )


@cache
def _standing() -> Select[Any]:
    return (
        select(flag.c.flag, func.count()).where(flag.c.closed_at.is_(None)).group_by(flag.c.flag).order_by(flag.c.flag)
    )
