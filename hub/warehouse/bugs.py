"""Batches at which a bug ended a worker: recorded before the worker ends, so that the next worker knows.

A batch is identified by the log: a partition, and the offsets from and to which it was read. A batch that begins inside
the range of the last note counts as the same one, whatever its size, because it can contain the same bad record.
After ``ENDS`` ends, or if only smaller batches can help, the range is tried piece by piece
(hub.intake.faults.piece_by_piece). A note is deleted when its range is durable. Each function runs in the caller's
transaction, which must not be a batch's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, and_, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from hub.log.places import Partition
from hub.model.alerts import WORKER_BUG
from hub.model.bug import Bug
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import log_partition
from hub.warehouse.tables.letters import partition_stop, worker_bug

ENDS = 2
"""After this many ends of a worker at one batch, the batch is tried piece by piece."""


@dataclass(frozen=True, slots=True)
class Range:
    """Records of one partition that were read together: from an offset to the one after the last."""

    topic: str
    partition: int
    first_offset: int
    end_offset: int

    @property
    def place(self) -> str:
        """Return ``topic/partition``."""
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A partition with a batch that ended workers.

    Fields:
        end_offset: the offset after its last record.
        ends: how often; from ``ENDS`` on, its records are tried piece by piece.
        accepted: how many records an operator allowed to become dead letters when resuming the partition.
    """

    end_offset: int
    ends: int = ENDS
    accepted: int = 0


def note_end(connection: Connection, ranges: Collection[Range], bug: Bug, worker: str, ends: int = 1) -> int:
    """Record that a bug ended a worker, or will end it; return the highest number of ends at any of the ranges.

    ``ends``: by how many ends the note counts.
    """
    table, most = worker_bug, 0
    for one in ranges:
        values = {"first_offset": one.first_offset, "end_offset": one.end_offset, "ends": ends, "bug": str(bug)}
        adding = insert(table).values(topic=one.topic, partition=one.partition, noted_by=worker, **values)
        new = adding.excluded
        is_same = and_(table.c.first_offset <= new.first_offset, new.first_offset < table.c.end_offset)
        changed = {
            "first_offset": new.first_offset,
            "end_offset": case((is_same, func.greatest(table.c.end_offset, new.end_offset)), else_=new.end_offset),
            "ends": case((is_same, table.c.ends + new.ends), else_=new.ends),
            "bug": new.bug,
            "noted_at": func.now(),
            "noted_by": new.noted_by,
        }
        noting = adding.on_conflict_do_update(index_elements=["topic", "partition"], set_=changed)
        counted = connection.execute(noting.returning(table.c.ends)).scalar_one()
        most = max(most, int(counted))
        raise_alert(connection, WORKER_BUG, one.place, _detail(one, bug, int(counted)))
    return most


def _detail(one: Range, bug: Bug, ends: int) -> str:
    next_step = "it is tried again as it is" if ends < ENDS else "it is tried piece by piece"
    return f"{bug.title}, in a batch of {one.place} from {one.first_offset} to {one.end_offset - 1}: {next_step}"


def read_suspects(connection: Connection) -> dict[Partition, Suspect]:
    """Return the partitions with a batch that ended workers, and the offset at which that batch ends."""
    note, stop = worker_bug.c, partition_stop.c
    accepted = case((and_(stop.bug.is_not(None), stop.resumed_at.is_not(None)), stop.accept_poison), else_=0)
    found = select(note.topic, note.partition, note.end_offset, note.ends, func.coalesce(accepted, 0)).join_from(
        worker_bug,
        partition_stop,
        and_(stop.topic == note.topic, stop.partition == note.partition),
        isouter=True,
    )
    rows = connection.execute(found)
    return {(topic, partition): Suspect(*suspect) for topic, partition, *suspect in rows}


def forget_passed(connection: Connection) -> None:
    """Delete the notes whose range is durable, and close the alerts that have no reason left."""
    note, stored = worker_bug.c, log_partition.c
    is_passed = and_(
        stored.topic == note.topic, stored.partition == note.partition, stored.next_offset >= note.end_offset
    )
    connection.execute(delete(worker_bug).where(is_passed))
    left = select(note.topic, note.partition)
    stop = partition_stop.c
    standing = select(stop.topic, stop.partition).where(stop.bug.is_not(None), stop.resumed_at.is_(None))
    places = [f"{topic}/{partition}" for topic, partition in connection.execute(left.union(standing))]
    clear_alert(connection, WORKER_BUG, places)


class BugStore:
    """The notes for a worker: each call is a separate transaction, and blocks."""

    def __init__(self, engine: Engine, worker: str) -> None:
        self._engine = engine
        self._worker = worker

    def note(self, ranges: Collection[Range], bug: Bug, ends: int = 1) -> int:
        """See ``note_end``; raises RetryableError."""
        with translated_errors("noting a bug"), self._engine.begin() as connection:
            return note_end(connection, ranges, bug, self._worker, ends)

    def suspects(self) -> Mapping[Partition, Suspect]:
        """Delete the notes that are passed, then see ``read_suspects``; raises RetryableError."""
        with translated_errors("reading noted bugs"), self._engine.begin() as connection:
            forget_passed(connection)
            return read_suspects(connection)
