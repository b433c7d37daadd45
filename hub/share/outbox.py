"""Read the audit log as an outbox: what changed since the stored position of each log partition.

Within a log partition the audit log is ordered by offset and written by one worker at a time, and
``log_partition.next_offset`` moves in the same transaction, so a reader that remembers (log partition, offset) never
meets a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.postgresql import insert

from hub.model.entities import SUBJECTS, Entity
from hub.model.outcomes import Outcome
from hub.topology import subject_of
from hub.warehouse.tables import audit, dead_letter, log_partition, share_position

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
    """Return what is to be shared, oldest position first come, a bounded step of each log partition."""
    position = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            position,
            func.least(log_partition.c.next_offset, position + MOST_OFFSETS),
        )
        .join_from(log_partition, share_position, share_position.c.log == log_partition.c.id, isouter=True)
        .where(log_partition.c.next_offset > position)
    )
    return [Span(*row) for row in rows]


def changes_in(connection: Connection, spans: Sequence[Span]) -> Changes:
    """Return the keys whose claims changed in some spans, each once, and their dead letters."""
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
        entity = entity_of(span.topic)
        if entity.record_topic:
            changed = connection.execute(
                select(audit.c.key).where(
                    audit.c.log == span.log,
                    audit.c.log_offset >= span.first,
                    audit.c.log_offset < span.end,
                    audit.c.outcome.in_([Outcome.APPLIED.value, Outcome.SUPERSEDED.value]),
                )
            )
            keys.setdefault(entity.name, set()).update(changed.scalars())
    return Changes({name: sorted(found) for name, found in keys.items()}, letters)


def entity_of(topic: str) -> Entity:
    """Return the entity that an event topic feeds."""
    return SUBJECTS[subject_of(topic)][0]


def move_positions(connection: Connection, spans: Sequence[Span]) -> None:
    """Remember that some spans are shared; never moves a position back."""
    if not spans:
        return
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
