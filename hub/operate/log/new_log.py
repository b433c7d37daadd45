"""Accept the log of a topic that was deleted and recreated: the old log is closed on record, the new one begins.

Offsets of two logs must not meet in one account: the audit log's primary key is (log, offset). So the new log gets
its own number and begins where the topic begins now. The old log keeps its rows, letters and evidence, under the
topic's name followed by a part of its id. All this is one transaction, while no batch is being committed.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from hub.log.places import topic_of
from hub.log.reader import log_reader, partitions_of
from hub.log.topic_ids import topic_ids
from hub.model.errors import ConfigError
from hub.model.stop_causes import StopCause
from hub.operate.actions import Action, note
from hub.reconcile.fence import hold_back_batches
from hub.topology import closed_name, is_closed
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import Position, read_positions
from hub.warehouse.stops import read_stops, resume
from hub.warehouse.tables.core import log_partition
from hub.warehouse.tables.letters import discarded, letter, letter_edit, redrive

ACCEPT = "log.accept"
"""The log of a recreated topic was accepted; the detail says where the old log was closed."""

_MARK_DIGITS = 8
_PLACED = (letter, letter_edit, redrive, discarded)
"""Tables that name records by topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class NewLog:
    """A topic whose id differs from the id of its stored offsets.

    Fields:
        old_id: None: the hub never learned it.
        closed: the name of the old log from then on.
        old: its partitions, with the offsets up to which the hub has read them.
        begins: the first offset of each partition of the new log.
    """

    topic: str
    old_id: UUID | None
    new_id: UUID
    closed: str
    old: tuple[Position, ...]
    begins: dict[int, int]


def plan_new_log(engine: Engine, bootstrap: str, topic: str) -> NewLog:
    """Return what accepting would do; changes nothing.

    Args:
        engine: of the warehouse.
        bootstrap: Kafka brokers.
        topic: of events; its subject may be given instead.

    Raises:
        ConfigError: the topic does not exist, the hub has never read it, or it is the one that is stored.
        UnreachableError: Kafka or the database does not answer.
    """
    name = topic_of(topic)
    with translated_errors("reading the stored offsets"), engine.connect() as connection:
        stored = [one for one in read_positions(connection).values() if one.topic == name]
        is_lost = any(
            stop.cause is StopCause.LOST_RANGE and stop.topic == name for stop in read_stops(connection, True)
        )
    found = topic_ids(bootstrap, [name]).get(name)
    if not stored or is_closed(name):
        raise ConfigError([f"the hub has never read {name}: `hub offsets show` lists what it has"])
    if found is None:
        raise ConfigError([f"there is no {name} on this Kafka; `hub topics ensure --execute` makes it"])
    # Offsets stored before the hub kept ids have none; then only the offsets show that it is another log.
    old = tuple(one for one in stored if one.topic_id != found and (one.topic_id is not None or is_lost))
    if not old:
        raise ConfigError([f"{name}: its id is {found}: that is the log the hub has read; there is nothing to accept"])
    old_id = next((one.topic_id for one in old if one.topic_id is not None), None)
    mark = old_id.hex[:_MARK_DIGITS] if old_id else f"log{min(one.log for one in old)}"
    with log_reader(bootstrap) as reader:
        places = partitions_of(reader, name)
        begins = {one.partition: begin for one, begin in reader.beginning_offsets(places).items()}
    return NewLog(name, old_id, found, closed_name(name, mark), old, begins)


def accept_new_log(engine: Engine, plan: NewLog, mover: str, reason: str) -> None:
    """Carry out a plan, all of it or nothing, and record who did it and why; the partitions are resumed.

    Raises:
        ConfigError: no reason is given, or the stored offsets have moved since the plan was made.
        UnreachableError: the database does not answer.
    """
    with translated_errors("accepting a new log"), engine.begin() as connection:
        hold_back_batches(connection)
        now = read_positions(connection)
        if any(now.get((one.topic, one.partition)) != one for one in plan.old):
            raise ConfigError([f"{plan.topic}: the stored offsets have moved since this was planned: try again"])
        for one in plan.old:
            _close(connection, plan, one)
            if one.partition in plan.begins:
                _begin(connection, plan, one.partition)
            resume(connection, (plan.topic, one.partition), mover, f"the new log was accepted: {reason}")
        detail = {
            "topic": plan.topic,
            "old_id": plan.old_id and str(plan.old_id),
            "new_id": str(plan.new_id),
            "closed": {f"{plan.closed}/{one.partition}": one.next_offset for one in plan.old},
        }
        note(connection, Action(mover, ACCEPT, reason, detail=detail))


def _close(connection: Connection, plan: NewLog, one: Position) -> None:
    place = f"{one.topic}/{one.partition}"
    connection.execute(
        update(log_partition)
        .values(topic=plan.closed, chain=func.coalesce(log_partition.c.chain, place))
        .where(log_partition.c.id == one.log)
    )
    mine = redrive.c.topic == one.topic, redrive.c.partition == one.partition
    # What was on its way into the old log did not arrive in this one: the letters can be handled again.
    connection.execute(delete(redrive).where(*mine, redrive.c.new_offset.is_(None)))
    for table in _PLACED:
        here = table.c.topic == one.topic, table.c.partition == one.partition
        connection.execute(update(table).values(topic=plan.closed).where(*here))


def _begin(connection: Connection, plan: NewLog, partition: int) -> None:
    taken = connection.execute(select(log_partition.c.chain).where(log_partition.c.chain.is_not(None))).scalars().all()
    chain = f"{closed_name(plan.topic, plan.new_id.hex[:_MARK_DIGITS])}/{partition}"
    connection.execute(
        insert(log_partition).values(
            topic=plan.topic,
            partition=partition,
            first_offset=plan.begins[partition],
            next_offset=plan.begins[partition],
            topic_id=plan.new_id,
            chain=chain if chain not in taken else f"{chain}+{len(taken)}",
        )
    )
