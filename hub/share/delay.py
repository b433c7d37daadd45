"""How far share is behind: unpublished rows of the audit log, and the age of the oldest."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, Table, func, select

from hub.share.outbox import published_entity
from hub.topology import dead_letter_topic, record_topics, shared_topics
from hub.warehouse.tables.core import audit, dead_letter, log_partition, share_position, touched
from hub.warehouse.tables.share import missed_span


@dataclass(frozen=True, slots=True)
class Delay:
    """The delay of one topic that share writes to.

    Fields:
        name: as in ``hub.topology.shared_topics``.
        rows: rows of the audit log, and keys noted without a row, that share has not published yet.
        since: when the oldest of them was written; None: nothing is behind.
        delay_s: age of the oldest in seconds, by the database's clock.
    """

    name: str
    topic: str
    rows: int
    since: datetime | None
    delay_s: float


def read_delays(connection: Connection) -> list[Delay]:
    """Return the delay of each record topic, and of the dead-letter topics that are behind."""
    now = connection.execute(select(func.now())).scalar_one()
    rows: dict[str, int] = dict.fromkeys(record_topics(), 0)
    since: dict[str, datetime] = {}

    def add(name: str, count: int, oldest: datetime | None) -> None:
        rows[name] = rows.get(name, 0) + count
        if count and oldest is not None:
            since[name] = min(since.get(name, oldest), oldest)

    names = {topic: name for name, topic in shared_topics().items()}
    for topic, count, oldest, letters in connection.execute(_behind()).all():
        entity = published_entity(topic)
        if entity is not None:
            add(entity, count, oldest)
        if letters:
            add(names[dead_letter_topic(topic)], letters, oldest)
    for blocked, topic, count, oldest, letters in connection.execute(_missed()).all():
        name = names.get(blocked)
        if name is not None and name == published_entity(topic):
            add(name, count, oldest)
        elif name is not None and letters and blocked == dead_letter_topic(topic):
            add(name, letters, oldest)
    for name, count, oldest in connection.execute(_noted()):
        add(name, count, oldest)
    return [
        Delay(name, shared_topics()[name], count, since.get(name), _seconds(now, since.get(name)))
        for name, count in rows.items()
    ]


def _seconds(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


_POSITION = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)


def _behind() -> Select[Any]:
    """Select the log partitions of which share has not read everything: topic, rows, time of the oldest, letters."""
    return (
        select(log_partition.c.topic, _rows(), _oldest(), _letters())
        .join_from(log_partition, share_position, share_position.c.log == log_partition.c.id, isouter=True)
        .where(log_partition.c.next_offset > _POSITION)
    )


def _missed() -> Select[Any]:
    """Select what blocked topics missed: the topic, then the columns of ``_behind``, up to share's positions."""
    bounds = (missed_span.c.next_offset, _POSITION)
    return (
        select(missed_span.c.topic, log_partition.c.topic, _rows(*bounds), _oldest(*bounds), _letters(*bounds))
        .join_from(missed_span, log_partition, log_partition.c.id == missed_span.c.log)
        .join(share_position, share_position.c.log == missed_span.c.log, isouter=True)
    )


_Bound = ColumnElement[Any] | None


def _within(table: Table, first: _Bound, end: _Bound) -> tuple[ColumnElement[bool], ...]:
    place = table.c.log_offset
    mine = (table.c.log == log_partition.c.id, place >= (_POSITION if first is None else first))
    return mine if end is None else (*mine, place < end)


def _counted(table: Table, first: _Bound, end: _Bound) -> ScalarSelect[int]:
    counted = select(func.count()).select_from(table).where(*_within(table, first, end))
    return counted.correlate(log_partition, share_position, missed_span).scalar_subquery()


def _rows(first: _Bound = None, end: _Bound = None) -> ScalarSelect[int]:
    return _counted(audit, first, end)


def _letters(first: _Bound = None, end: _Bound = None) -> ScalarSelect[int]:
    return _counted(dead_letter, first, end)


def _oldest(first: _Bound = None, end: _Bound = None) -> ScalarSelect[datetime]:
    oldest = select(audit.c.recorded_at).where(*_within(audit, first, end)).order_by(audit.c.log_offset).limit(1)
    return oldest.correlate(log_partition, share_position, missed_span).scalar_subquery()


def _noted() -> Select[Any]:
    """Select the keys that are noted and not published yet: name, count, when the oldest was noted."""
    return (
        select(touched.c.entity, func.count(), func.min(touched.c.noted_at))
        .where(touched.c.entity.in_(list(record_topics())))
        .group_by(touched.c.entity)
    )
