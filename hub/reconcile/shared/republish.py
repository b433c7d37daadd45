"""Note keys whose published record changed without their own event, at a place in the log that share will pass.

A batch notes them at the place of one of its own records, in its own transaction. A job that is not a batch (a policy
applied, units recoded) takes a place on the job log. The job log is a row of ``log_partition`` that is not a Kafka
partition. Its row lock makes jobs run one after another, so that share never passes a place before it exists.
"""

from sqlalchemy import Connection, Select, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.warehouse.tables.core import log_partition, touched

JOB_LOG = "(jobs)"
"""Value of ``log_partition.topic`` for the job log; no Kafka topic can have this name. The migrations create the row.
"""

AuditPlace = tuple[int, int]
"""Number of a log partition, and an offset in it."""


def republish_keys(connection: Connection, place: AuditPlace, entity: str, keys: Select[tuple[object]]) -> int:
    """Note keys of an entity at a place; return their number. ``keys`` selects one column of keys."""
    log, log_offset = place
    found = keys.subquery()
    rows = select(literal(log), literal(log_offset), literal(entity), found.c[0]).distinct()
    noting = insert(touched).from_select(["log", "log_offset", "entity", "key"], rows)
    return connection.execute(noting.on_conflict_do_nothing(), execution_options={"preserve_rowcount": True}).rowcount


def job_place(connection: Connection) -> AuditPlace:
    """Take the next place on the job log; the next job waits until this transaction ends."""
    log, next_offset = connection.execute(
        update(log_partition)
        .values(next_offset=log_partition.c.next_offset + 1)
        .where(log_partition.c.topic == JOB_LOG)
        .returning(log_partition.c.id, log_partition.c.next_offset)
    ).one()
    return log, next_offset - 1
