"""Offsets that the log had lost before the hub read them, and that an operator skipped on record.

No reader of the whole log can have them: a replay passes over them, and an archive has no file of them.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from hub.model.outcomes import Reason
from hub.topology import CLOSED_MARK
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import audit, log_partition
from hub.warehouse.tables.ledger import offset_plan


@dataclass(frozen=True, slots=True)
class LostOffsets:
    """Offsets ``first <= offset < end`` of a log partition; ``log`` is its number in the warehouse."""

    log: int
    topic: str
    partition: int
    first: int
    end: int


def lost_on_record(connection: Connection) -> list[LostOffsets]:
    """Return all of them, by log partition and offset."""
    moves = select(offset_plan).where(offset_plan.c.applied_at.is_not(None), offset_plan.c.lost > 0)
    found = []
    for move in connection.execute(moves):
        # a log that was closed since has another name: the audit row says whose offset it is
        skipped = (
            select(log_partition.c.id, log_partition.c.topic)
            .join(audit, audit.c.log == log_partition.c.id)
            .where(
                log_partition.c.partition == move.partition,
                (log_partition.c.topic == move.topic)
                | log_partition.c.topic.startswith(f"{move.topic}{CLOSED_MARK}", autoescape=True),
                audit.c.log_offset == move.from_offset,
                audit.c.reason == Reason.SKIPPED_BY_OPERATOR.value,
            )
        )
        for log, topic in connection.execute(skipped):
            lost = LostOffsets(log, topic, move.partition, move.from_offset, move.from_offset + move.lost)
            found.append(lost)
    return sorted(found, key=lambda one: (one.log, one.first))


def read_lost(engine: Engine) -> list[LostOffsets]:
    """Return ``lost_on_record`` in its own transaction; raises RetryableError."""
    with translated_errors("reading which offsets were lost"), engine.connect() as connection:
        return lost_on_record(connection)
