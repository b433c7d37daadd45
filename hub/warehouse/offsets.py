"""Where the hub stands in the log, and the fence that keeps two workers from moving the same partition (I1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import BigInteger, Connection, Integer, SmallInteger, Update, bindparam, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from hub.model.errors import ConcurrentUpdateError
from hub.warehouse.batch import Advance
from hub.warehouse.tables import log_partition


@dataclass(frozen=True, slots=True)
class Position:
    """The stored place in one log partition. ``next_offset`` is the first offset not yet durable."""

    log: int
    topic: str
    partition: int
    first_offset: int
    next_offset: int


def ensure_positions(connection: Connection, begins: dict[tuple[str, int], int]) -> dict[tuple[str, int], Position]:
    """Return the stored positions of partitions, storing where the log begins for those seen for the first time.

    Args:
        connection: in a transaction of its own.
        begins: first offset that the log holds, by (topic, partition).
    """
    stored = read_positions(connection)
    # An insert that does nothing uses up a number all the same, and a small number lasts for 32,767 of them.
    rows = [
        {"topic": topic, "partition": partition, "first_offset": first, "next_offset": first}
        for (topic, partition), first in sorted(begins.items())
        if (topic, partition) not in stored
    ]
    if rows:
        connection.execute(insert(log_partition).on_conflict_do_nothing(), rows)
        stored = read_positions(connection)
    return {place: position for place, position in stored.items() if place in begins}


def read_positions(connection: Connection) -> dict[tuple[str, int], Position]:
    """Return every stored position by (topic, partition)."""
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            log_partition.c.first_offset,
            log_partition.c.next_offset,
        )
    )
    return {(row.topic, row.partition): Position(*row) for row in rows}


def advance_positions(connection: Connection, advances: Sequence[Advance]) -> None:
    """Move the stored offsets of a batch's partitions: the fence, so it comes first in the batch's transaction.

    Raises:
        ConcurrentUpdateError: a stored offset is not the one the batch began at: another worker holds the partition.
    """
    ordered = sorted(advances, key=lambda advance: advance.log)
    moved = connection.execute(
        _moves(),
        {
            "logs": [advance.log for advance in ordered],
            "expected": [advance.expected for advance in ordered],
            "next_offsets": [advance.next_offset for advance in ordered],
            "consumed": [advance.consumed for advance in ordered],
        },
    ).rowcount
    if moved != len(advances):
        places = ", ".join(f"{move.topic}/{move.partition}@{move.expected}" for move in advances)
        raise ConcurrentUpdateError(f"{moved} of {len(advances)} stored offsets were as expected ({places})")


@cache
def _moves() -> Update:
    """Arrays, so that the statement is the same whatever the number of partitions, and is compiled once."""
    moves = (
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
            name="moves",
        )
        .render_derived()
    )
    return (
        update(log_partition)
        .values(next_offset=moves.c.next_offset, consumed=log_partition.c.consumed + moves.c.consumed)
        .where(log_partition.c.id == moves.c.log, log_partition.c.next_offset == moves.c.expected)
    )
