"""Dead letters as an operator finds them: by reason, source, time, topic and state, each with all its known facts.

A letter's name is its place on Kafka: ``<topic>/<partition>/<offset>``; a subject may stand for its topic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select, tuple_

from hub.log.places import Place, place_text, topic_of
from hub.model.errors import ConfigError
from hub.model.refusals import refusal
from hub.topology import CLOSED_MARK
from hub.warehouse.setup.roles import may_read
from hub.warehouse.tables.core import audit, batch, dead_letter, log_partition, release, source
from hub.warehouse.tables.letters import letter, redrive


class State(StrEnum):
    """What was done with a letter."""

    OPEN = "open"
    EDITED = "edited"
    APPROVED = "approved"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


UNDONE = (State.OPEN, State.EDITED, State.APPROVED)
"""States in which somebody still has to do something."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; None or empty: all.

    Fields:
        cause: reason of the refusal, e.g. INVALID_VALUE.
        topic: a topic or its subject.
        since, until: when the hub wrote the letter; ``until`` is exclusive.
        states: in one of these states.
        places: only these letters.
        limit: at most this many, the oldest first.
    """

    cause: str | None = None
    source: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    states: tuple[State, ...] = UNDONE
    places: tuple[Place, ...] = ()
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; its bytes only if they were asked for.

    Fields:
        worker: which worker read the record, at ``recorded_at``.
        stack: the stages it went through; the last one refused it (hub.model.refusals).
        state, changed_at, changed_by, purpose: what was done last, when, by whom and why.
        same, first_seen, last_seen: letters with the same reason and the same bytes, this one included.
        origin: the letter from whose redrive this one came; None: it came from its source.
        attempt: number of redrives that led to it.
    """

    place: Place
    reason: str
    detail: str
    schema_id: int | None
    value_bytes: int
    sha256: str
    recorded_at: datetime
    source: str | None
    worker: str | None
    stack: Sequence[Mapping[str, Any]]
    state: State
    changed_at: datetime | None
    changed_by: str | None
    purpose: str | None
    same: int
    first_seen: datetime
    last_seen: datetime
    origin: Place | None
    attempt: int
    key: bytes | None = field(default=None, repr=False)
    value: bytes | None = field(default=None, repr=False)


def read_letters(connection: Connection, wanted: LetterFilter, with_bytes: bool = False) -> list[Letter]:
    """Return letters, the oldest first.

    Args:
        connection: of a user who may read letters.
        wanted: which letters.
        with_bytes: with key and value; a user who may not read them gets none.
    """
    order = (dead_letter.c.recorded_at, dead_letter.c.log, dead_letter.c.log_offset)
    with_bytes = with_bytes and may_read(connection, dead_letter.c.record_value)
    found = _all_of(wanted, with_bytes).order_by(*order).limit(wanted.limit).subquery("found")
    same = dead_letter.alias("same")
    alike = (
        select(
            func.count().label("same"),
            func.min(same.c.recorded_at).label("first_seen"),
            func.max(same.c.recorded_at).label("last_seen"),
        )
        .where(same.c.reason == found.c.reason, same.c.value_sha256 == found.c.value_sha256)
        .correlate(found)
        .lateral("alike")
    )
    query = select(found, alike).join_from(found, alike, literal(True))
    rows = connection.execute(query.order_by(found.c.recorded_at, found.c.log, found.c.log_offset))
    return [_letter(row) for row in rows]


def letter_at(connection: Connection, place: Place) -> Letter:
    """Return one letter, in any state.

    Raises:
        ConfigError: there is none.
    """
    found = read_letters(connection, LetterFilter(places=(place,), states=()), with_bytes=True)
    if not found:
        raise ConfigError([f"{place_text(place)}: there is no dead letter; see `hub deadletters list`"])
    return found[0]


def letter_counts(connection: Connection, wanted: LetterFilter) -> list[tuple[str, State, int]]:
    """Count letters by reason and state, without the limit."""
    found = chosen_letters(select(dead_letter.c.reason, state_of().label("state")), wanted).subquery()
    query = select(found.c.reason, found.c.state, func.count()).group_by(found.c.reason, found.c.state)
    return [(reason, State(state), count) for reason, state, count in connection.execute(query.order_by("reason"))]


def at(table: Any, place: Place) -> ColumnElement[bool]:
    """Return the condition that a row of a table is about a place."""
    return and_(table.c.topic == place.topic, table.c.partition == place.partition, table.c.log_offset == place.offset)


def among(table: Any, places: Sequence[Place]) -> ColumnElement[bool]:
    """Return the condition that a row of a table is about one of some places."""
    named = [(place.topic, place.partition, place.offset) for place in places]
    return tuple_(table.c.topic, table.c.partition, table.c.log_offset).in_(named)


_BYTES = ("record_key", "record_value")


def _all_of(wanted: LetterFilter, with_bytes: bool) -> Select[Any]:
    came_from = redrive.alias("came_from")
    found = chosen_letters(
        select(
            log_partition.c.topic,
            log_partition.c.partition,
            *(column for column in dead_letter.c if with_bytes or column.name not in _BYTES),
            source.c.code.label("source"),
            batch.c.worker,
            state_of().label("state"),
            letter.c.changed_at,
            letter.c.changed_by,
            letter.c.purpose,
            came_from.c.log_offset.label("origin_offset"),
            func.coalesce(came_from.c.attempt, 0).label("attempt"),
        ),
        wanted,
    )
    return found.outerjoin(batch, batch.c.id == func.coalesce(release.c.batch, audit.c.batch)).outerjoin(
        came_from,
        and_(
            came_from.c.topic == log_partition.c.topic,
            came_from.c.partition == log_partition.c.partition,
            came_from.c.new_offset == dead_letter.c.log_offset,
        ),
    )


def chosen_letters(query: Select[Any], wanted: LetterFilter) -> Select[Any]:
    """Add to a query of letters the joins for choosing, and the conditions of ``wanted``; no limit."""
    here = and_(audit.c.log == dead_letter.c.log, audit.c.log_offset == dead_letter.c.log_offset)
    let_go = and_(release.c.log == dead_letter.c.log, release.c.log_offset == dead_letter.c.log_offset)
    place = (log_partition.c.topic, log_partition.c.partition, dead_letter.c.log_offset)
    query = (
        query.select_from(dead_letter)
        .join(log_partition, log_partition.c.id == dead_letter.c.log)
        .outerjoin(audit, here)
        .outerjoin(release, let_go)
        .outerjoin(source, source.c.id == func.coalesce(release.c.source, audit.c.source))
        .outerjoin(
            letter,
            and_(
                letter.c.topic == place[0],
                letter.c.partition == place[1],
                letter.c.log_offset == place[2],
            ),
        )
    )
    conditions: list[ColumnElement[bool]] = []
    if wanted.cause is not None:
        conditions.append(dead_letter.c.reason == wanted.cause)
    if wanted.source is not None:
        conditions.append(source.c.code == wanted.source)
    if wanted.topic is not None:
        conditions.append(func.split_part(log_partition.c.topic, CLOSED_MARK, 1) == topic_of(wanted.topic))
    if wanted.since is not None:
        conditions.append(dead_letter.c.recorded_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(dead_letter.c.recorded_at < wanted.until)
    if wanted.places:
        named = [(place.topic, place.partition, place.offset) for place in wanted.places]
        conditions.append(tuple_(*place).in_(named))
    if wanted.states:
        conditions.append(state_of().in_([state.value for state in wanted.states]))
    return query.where(*conditions)


def state_of() -> ColumnElement[str]:
    """Return the state of a letter, for a query of ``chosen_letters``."""
    return func.coalesce(letter.c.state, State.OPEN.value)


def _letter(row: Any) -> Letter:
    place = Place(row.topic, row.partition, row.log_offset)
    return Letter(
        place=place,
        reason=row.reason,
        detail=row.detail,
        schema_id=row.schema_id,
        value_bytes=row.value_bytes,
        sha256=row.value_sha256.hex(),
        recorded_at=row.recorded_at,
        source=row.source,
        worker=row.worker,
        stack=row.refused_by or refusal(row.reason, row.detail).stack(),
        state=State(row.state),
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        purpose=row.purpose,
        same=row.same,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        origin=None if row.origin_offset is None else Place(place.topic, place.partition, row.origin_offset),
        attempt=row.attempt,
        key=getattr(row, "record_key", None),
        value=getattr(row, "record_value", None),
    )
