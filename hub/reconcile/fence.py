"""A batch begins: its offsets move, or it is refused, and it gets its row, in one statement.

One statement names both tables, so PostgreSQL locks the table ``batch`` before any row of ``log_partition``. Whoever
holds back batches (a policy applied, a replay switched) locks in the same order: the table, then the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, Select, Text, bindparam, func, insert, select, text

from hub.model.errors import ConcurrentUpdateError, ConfigError
from hub.warehouse.batch import Advance
from hub.warehouse.offsets import moves, positions_moved
from hub.warehouse.sources import digest_in_force
from hub.warehouse.tables.core import batch


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who commits, and under which policy: stored with every batch."""

    worker: str
    policy_digest: str


def begin_batch(connection: Connection, advances: Sequence[Advance], stamp: Stamp) -> int:
    """Move the stored offsets of a batch's partitions and give it a row; return its number.

    The fence, so it comes first in the batch's transaction. A batch of released records moves no offset.

    Raises:
        ConcurrentUpdateError: a stored offset is not the one the batch began at: another worker holds the partition.
        ConfigError: another policy was applied since this worker started.
    """
    parameters = {"worker": stamp.worker, "digest": stamp.policy_digest, **moves(advances)}
    moved, number = connection.execute(_begun(), parameters).one()
    if moved != len(advances):
        places = ", ".join(f"{move.topic}/{move.partition}@{move.expected}" for move in advances)
        raise ConcurrentUpdateError(f"{moved} of {len(advances)} stored offsets were as expected ({places})")
    if number is None:
        raise ConfigError(
            [
                f"the policy of this worker ({stamp.policy_digest[:12]}) is not in force any more: "
                "restart the worker with the policy that was applied (`hub policy show`)"
            ]
        )
    return int(number)


def hold_back_batches(connection: Connection) -> None:
    """Wait for the batches that are under way; none begins until this transaction ends.

    Before anything else in the transaction: whoever holds what a batch needs, and waits for it, waits for ever.
    """
    connection.execute(text("LOCK TABLE batch IN EXCLUSIVE MODE"))


def go_among_batches(connection: Connection) -> None:
    """Wait for whoever holds back batches, before anything is read that the batch of this transaction is about."""
    connection.execute(text("LOCK TABLE batch IN ROW EXCLUSIVE MODE"))


@cache
def _begun() -> Select[int, int]:
    """Select how many offsets moved, and the batch's number if the policy is in force; waits while one is applied."""
    worker, digest = bindparam("worker", type_=Text), bindparam("digest", type_=Text)
    moved = positions_moved().returning(func.now()).cte("moved")
    row = select(worker, digest).where(digest_in_force().scalar_subquery() == digest)
    made = insert(batch).from_select(["worker", "policy_digest"], row).returning(batch.c.id).cte("made")
    return select(select(func.count()).select_from(moved).scalar_subquery(), select(made.c.id).scalar_subquery())
