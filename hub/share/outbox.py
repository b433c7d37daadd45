"""Read the audit log as an outbox: what changed since the stored position of each log partition.

Within a log partition the audit log is ordered by offset and written by one worker at a time, and
``log_partition.next_offset`` moves in the same transaction, so a reader that remembers (log partition, offset) never
meets a gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Row, Select, and_, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from hub.model.entities import SUBJECTS, Entity
from hub.model.outcomes import Outcome
from hub.reconcile.touch import JOB_LOG
from hub.topology import record_topics, subject_of
from hub.warehouse.tables import audit, dead_letter, log_partition, share_position, touched

MOST_OFFSETS = 20_000
"""Offsets of one log partition that are followed in one step."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a log partition that are durable and not yet shared: ``first <= offset < end``."""

    log: int
    topic: str
    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What some spans changed: keys by entity name, and dead letters."""

    keys: dict[str, list[UUID]]
    dead_letters: Sequence[Row[tuple[object, ...]]]


def open_spans(connection: Connection) -> list[Span]:
    """Return what is to be shared, oldest position first come, a bounded step of each log partition.

    A place of the job log can have many keys: one at a time.
    """
    position = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)
    most = case((log_partition.c.topic == JOB_LOG, 1), else_=MOST_OFFSETS)
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            position,
            func.least(log_partition.c.next_offset, position + most),
        )
        .join_from(log_partition, share_position, share_position.c.log == log_partition.c.id, isouter=True)
        .where(log_partition.c.next_offset > position)
    )
    return [Span(*row) for row in rows]


def changes_in(connection: Connection, spans: Sequence[Span]) -> Changes:
    """Return the keys whose records some spans may have changed, each once, and their dead letters."""
    keys: dict[str, set[UUID]] = {}
    letters: list[Row[tuple[object, ...]]] = []
    for span in spans:
        letters += connection.execute(
            select(dead_letter)
            .where(
                dead_letter.c.log == span.log,
                dead_letter.c.log_offset >= span.first,
                dead_letter.c.log_offset < span.end,
            )
            .order_by(dead_letter.c.log_offset)
        ).all()
        for name, changed in _changed_keys(span):
            keys.setdefault(name, set()).update(connection.execute(changed).scalars())
    return Changes({name: sorted(found) for name, found in keys.items() if found}, letters)


def _changed_keys(span: Span) -> Iterator[tuple[str, Select[UUID]]]:
    """Yield entities whose records are published, each with a statement for the keys that a span's events changed."""
    noted = and_(touched.c.log == span.log, touched.c.log_offset >= span.first, touched.c.log_offset < span.end)
    for name in record_topics():
        yield name, select(touched.c.key).where(noted, touched.c.entity == name)
    if span.topic == JOB_LOG:
        return
    changed = and_(
        audit.c.log == span.log,
        audit.c.log_offset >= span.first,
        audit.c.log_offset < span.end,
        audit.c.outcome.in_([Outcome.APPLIED.value, Outcome.SUPERSEDED.value]),
    )
    entity = entity_of(span.topic)
    if entity.record_topic:
        yield entity.name, select(audit.c.key).where(changed)


def entity_of(topic: str) -> Entity:
    """Return the entity that an event topic feeds."""
    return SUBJECTS[subject_of(topic)][0]


def move_positions(connection: Connection, spans: Sequence[Span]) -> None:
    """Remember that some spans are shared; never moves a position back. What was noted for them is done with."""
    if not spans:
        return
    for span in spans:
        connection.execute(
            delete(touched).where(
                touched.c.log == span.log, touched.c.log_offset >= span.first, touched.c.log_offset < span.end
            )
        )
    moving = insert(share_position).values([{"log": span.log, "next_offset": span.end} for span in spans])
    connection.execute(
        moving.on_conflict_do_update(
            index_elements=["log"],
            set_={"next_offset": func.greatest(share_position.c.next_offset, moving.excluded.next_offset)},
        )
    )


def unshared(connection: Connection) -> int:
    """Return how many durable offsets have not been shared yet."""
    position = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)
    return int(
        connection.execute(
            select(func.coalesce(func.sum(log_partition.c.next_offset - position), 0)).join_from(
                log_partition, share_position, share_position.c.log == log_partition.c.id, isouter=True
            )
        ).scalar_one()
    )
