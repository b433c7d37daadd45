"""Begin a batch in one statement: its offsets move and it gets its row, or it is refused.

One statement names both tables, so PostgreSQL locks the table ``batch`` before any row of ``log_partition``. Operations
that hold back batches (applying a policy, switching to a replay) lock in the same order: the table, then the rows.
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
    """Who commits, and under which policy; stored with every batch."""

    worker: str
    policy_digest: str


def begin_batch(connection: Connection, advances: Sequence[Advance], stamp: Stamp) -> int:
    """Move the stored offsets of a batch's partitions and create its row; return the batch's number.

    This is the fence, so it comes first in the batch's transaction. A batch of released records moves no offset.

    Raises:
        ConcurrentUpdateError: a stored offset differs from where the batch began: another worker holds the partition.
        ConfigError: another policy was applied since this worker started.
    """
    parameters = {"worker": stamp.worker, "digest": stamp.policy_digest, **moves(advances)}
    moved, number = connection.execute(_begun(), parameters).one()
    if moved != len(advances):
        places = ", ".join(f"{move.topic}/{move.partition}/{move.expected}" for move in advances)
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
    """Wait for the batches in progress; no new one begins until this transaction ends.

    Call it first in the transaction. Otherwise a batch may wait for a lock of this transaction while this transaction
    waits for the batch: a deadlock.
    """
    connection.execute(text("LOCK TABLE batch IN EXCLUSIVE MODE"))


def go_among_batches(connection: Connection) -> None:
    """Wait for operations that hold back batches; call it before reading what this transaction's batch needs."""
    connection.execute(text("LOCK TABLE batch IN ROW EXCLUSIVE MODE"))


@cache
def _begun() -> Select[int, int]:
    """Select how many offsets moved, and the batch's number if the policy is in force; waits while one is applied."""
    worker, digest = bindparam("worker", type_=Text), bindparam("digest", type_=Text)
    moved = positions_moved().returning(func.now()).cte("moved")
    row = select(worker, digest).where(digest_in_force().scalar_subquery() == digest)
    made = insert(batch).from_select(["worker", "policy_digest"], row).returning(batch.c.id).cte("made")
    return select(select(func.count()).select_from(moved).scalar_subquery(), select(made.c.id).scalar_subquery())
