"""The stored offsets; a batch moves them only from where it began (I1, hub.reconcile.fence)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Integer, SmallInteger, Update, bindparam, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from hub.log.places import Partition
from hub.warehouse.batch import Advance
from hub.warehouse.tables.core import log_partition


@dataclass(frozen=True, slots=True)
class Position:
    """The stored position in one log partition.

    Fields:
        next_offset: the first offset that is not yet durable.
        topic_id: Kafka's id of the topic to which the offset belongs; None if unknown.
    """

    log: int
    topic: str
    partition: int
    first_offset: int
    next_offset: int
    topic_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class LogFound:
    """A log partition on Kafka: its first offset, the offset of the next record, and its topic's id.

    ``topic_id`` is None if the cluster does not give it.
    """

    begin: int
    end: int
    topic_id: UUID | None = None


def placed(connection: Connection, found: Mapping[Partition, LogFound]) -> dict[Partition, Position]:
    """Return the stored positions of partitions; partitions seen for the first time begin where their log begins.

    If the warehouse does not know a topic's id yet, it stores the id, provided that the log holds the stored offset.
    """
    ids = {topic: one.topic_id for (topic, _), one in found.items() if one.topic_id is not None}
    stored = ensure_positions(connection, {place: one.begin for place, one in found.items()}, ids)
    learned = {}
    for place, position in stored.items():
        one = found[place]
        if position.topic_id is None and one.topic_id and one.begin <= position.next_offset <= one.end:
            mine = log_partition.c.id == position.log, log_partition.c.topic_id.is_(None)
            connection.execute(update(log_partition).values(topic_id=one.topic_id).where(*mine))
            learned[place] = replace(position, topic_id=one.topic_id)
    return stored | learned


def ensure_positions(
    connection: Connection, begins: Mapping[Partition, int], ids: Mapping[str, UUID] | None = None
) -> dict[Partition, Position]:
    """Return the stored positions of partitions; for partitions seen for the first time, store where their log begins.

    Args:
        connection: in a transaction of its own.
        begins: the log's first offset, by (topic, partition).
        ids: Kafka's ids of topics, by name; stored for partitions seen for the first time.
    """
    known = ids or {}
    stored = read_positions(connection)
    # Insert only new rows: an insert that does nothing also uses up one of 32,767 numbers.
    rows = [
        {
            "topic": topic,
            "partition": partition,
            "first_offset": first,
            "next_offset": first,
            "topic_id": known.get(topic),
        }
        for (topic, partition), first in sorted(begins.items())
        if (topic, partition) not in stored
    ]
    if rows:
        connection.execute(insert(log_partition).on_conflict_do_nothing(), rows)
        stored = read_positions(connection)
    return {place: position for place, position in stored.items() if place in begins}


def read_positions(connection: Connection) -> dict[Partition, Position]:
    """Return every stored position by (topic, partition)."""
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            log_partition.c.first_offset,
            log_partition.c.next_offset,
            log_partition.c.topic_id,
        )
    )
    return {(row.topic, row.partition): Position(*row) for row in rows}


def known_topic_ids(connection: Connection) -> dict[str, UUID]:
    """Return the ids of the topics whose offsets are stored, by topic; a topic without a known id is left out."""
    known = select(log_partition.c.topic, log_partition.c.topic_id).where(log_partition.c.topic_id.is_not(None))
    return {topic: topic_id for topic, topic_id in connection.execute(known.distinct())}


def moves(advances: Sequence[Advance]) -> dict[str, list[int]]:
    """Return the parameters of ``positions_moved`` for some partitions."""
    ordered = sorted(advances, key=lambda advance: advance.log)
    return {
        "logs": [advance.log for advance in ordered],
        "expected": [advance.expected for advance in ordered],
        "next_offsets": [advance.next_offset for advance in ordered],
        "consumed": [advance.consumed for advance in ordered],
    }


@cache
def positions_moved() -> Update:
    """Move the stored offsets of some partitions, if the stored offset is the expected one.

    Parameters are arrays, so the statement is the same for any number of partitions and is compiled once.
    """
    moving = (
        func.unnest(
            bindparam("logs", type_=ARRAY(SmallInteger)),
            bindparam("expected", type_=ARRAY(BigInteger)),
            bindparam("next_offsets", type_=ARRAY(BigInteger)),
            bindparam("consumed", type_=ARRAY(Integer)),
        )
        .table_valued(
            column("log", SmallInteger),
            column("expected", BigInteger),
            column("next_offset", BigInteger),
            column("consumed", Integer),
            name="moving",
        )
        .render_derived()
    )
    return (
        update(log_partition)
        .values(next_offset=moving.c.next_offset, consumed=log_partition.c.consumed + moving.c.consumed)
        .where(log_partition.c.id == moving.c.log, log_partition.c.next_offset == moving.c.expected)
    )
