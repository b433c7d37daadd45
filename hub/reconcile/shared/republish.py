"""Note keys whose published record changed without an event of their own, at a place of the log that share will pass.

A batch notes them at the place of one of its own records, in its own transaction. A job that is no batch (a policy
applied, units recoded) takes a place on the job log: a row of ``log_partition`` that is no partition of Kafka, whose
lock keeps jobs one behind the other, so that share never passes a place before it is there.
"""

from sqlalchemy import Connection, Select, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.warehouse.tables.core import log_partition, touched

JOB_LOG = "(jobs)"
"""Stands in ``log_partition.topic``; no topic of Kafka can have this name. The migrations make the row."""

Place = tuple[int, int]
"""Number of a log partition, and an offset in it."""


def republish_keys(connection: Connection, place: Place, entity: str, keys: Select[tuple[object]]) -> int:
    """Note keys of an entity at a place; return how many. ``keys`` selects one column of keys."""
    log, log_offset = place
    found = keys.subquery()
    rows = select(literal(log), literal(log_offset), literal(entity), found.c[0]).distinct()
    noting = insert(touched).from_select(["log", "log_offset", "entity", "key"], rows)
    return connection.execute(noting.on_conflict_do_nothing(), execution_options={"preserve_rowcount": True}).rowcount


def job_place(connection: Connection) -> Place:
    """Take the next place on the job log; the next job waits until this transaction ends."""
    log, next_offset = connection.execute(
        update(log_partition)
        .values(next_offset=log_partition.c.next_offset + 1)
        .where(log_partition.c.topic == JOB_LOG)
        .returning(log_partition.c.id, log_partition.c.next_offset)
    ).one()
    return log, next_offset - 1
