"""How far share is behind: unpublished rows of the audit log, and the age of the oldest."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, func, select

from hub.share.outbox import published_entity
from hub.topology import dead_letter_topic, record_topics, shared_topics
from hub.warehouse.tables.core import audit, dead_letter, log_partition, share_position, touched


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


def _rows() -> ScalarSelect[int]:
    rows = select(func.count()).where(audit.c.log == log_partition.c.id, audit.c.log_offset >= _POSITION)
    return rows.correlate(log_partition, share_position).scalar_subquery()


def _oldest() -> ScalarSelect[datetime]:
    oldest = select(audit.c.recorded_at).where(audit.c.log == log_partition.c.id, audit.c.log_offset >= _POSITION)
    return oldest.order_by(audit.c.log_offset).limit(1).correlate(log_partition, share_position).scalar_subquery()


def _letters() -> ScalarSelect[int]:
    letters = select(func.count()).where(dead_letter.c.log == log_partition.c.id, dead_letter.c.log_offset >= _POSITION)
    return letters.correlate(log_partition, share_position).scalar_subquery()


def _noted() -> Select[Any]:
    """Select the keys noted at places that share has not passed: name, count, when the oldest was noted."""
    return (
        select(touched.c.entity, func.count(), func.min(touched.c.noted_at))
        .join_from(touched, log_partition, log_partition.c.id == touched.c.log)
        .join(share_position, share_position.c.log == touched.c.log, isouter=True)
        .where(touched.c.log_offset >= _POSITION, touched.c.entity.in_(list(record_topics())))
        .group_by(touched.c.entity)
    )
