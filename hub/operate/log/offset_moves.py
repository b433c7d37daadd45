"""Move a stored offset forward, past records that must not be read: plan it, fix it by a digest, do exactly that.

Each skipped record gets its row in the audit log (rejected, SKIPPED_BY_OPERATOR) in the transaction that moves
the offset, through the same ``commit_batch`` as a worker's batches. So the ledger stays balanced (I1, I5), and a worker
that holds the partition notices the move at its next commit and places the partition again. An offset is never moved
back: what was read has its rows; ``hub replay`` reads it again.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Connection, Engine, func, insert, select, update

from hub.log.odd import OddRecord
from hub.log.places import Partition
from hub.log.reader import log_reader, written_ends
from hub.model.errors import ConfigError, HubError
from hub.model.outcomes import OUTCOME_OF_REASON, Reason
from hub.operate.actions import Action, note
from hub.reconcile.fence import Stamp
from hub.reconcile.merge import commit_batch
from hub.warehouse.batch import Advance, Batch, audit_rows
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import Position, read_positions
from hub.warehouse.sources import digest_in_force
from hub.warehouse.stops import let_go_on
from hub.warehouse.tables.ledger import offset_plan

MOVE = "offset_move"
"""A stored offset was moved past records; the detail says how many, and by which plan."""

_ID_DIGITS = 12
_QUIET_POLLS = 20


@dataclass(frozen=True, slots=True)
class OffsetPlan:
    """A move of a stored offset.

    Fields:
        records: number of records in the log that are skipped.
        lost: number of skipped offsets that the log no longer holds.
        digest: of the skipped records; the move is done only while the log still holds exactly these.
    """

    id: str
    topic: str
    partition: int
    from_offset: int
    to_offset: int
    records: int
    lost: int
    digest: str
    planned_by: str
    planned_at: datetime | None = None
    applied_at: datetime | None = None

    @property
    def place(self) -> str:
        """Return ``topic/partition@from``."""
        return f"{self.topic}/{self.partition}/{self.from_offset}"


@dataclass(frozen=True, slots=True)
class _Skipped:
    """Records that would be skipped: offsets, keys, and why each cannot be read (empty if it can).

    ``lost``: offsets before them that the log lost.
    """

    lost: range
    offsets: list[int]
    keys: list[bytes | None] = field(repr=False)
    whys: list[str]
    digest: str


def plan_move(engine: Engine, bootstrap: str, partition: Partition, to: str, planner: str) -> OffsetPlan:
    """Store a plan and return it; moves nothing.

    Args:
        engine: of the warehouse.
        bootstrap: Kafka brokers.
        partition: which one.
        to: the first offset to read afterwards: a number, ``begin`` (where the log begins now) or ``end``.
        planner: who plans.

    Raises:
        ConfigError: it cannot be done; says why and what to do instead.
        UnreachableError: Kafka or the database does not answer.
    """
    with translated_errors("reading the stored offsets"), engine.connect() as connection:
        stored = _stored(connection, partition)
    with log_reader(bootstrap) as consumer:
        target = _target(consumer, bootstrap, stored, to)
        skipped = _read(consumer, stored, target)
    name = hashlib.sha256(f"{skipped.digest} {planner}".encode()).hexdigest()[:_ID_DIGITS]
    records, lost = len(skipped.offsets), len(skipped.lost)
    plan = OffsetPlan(name, *partition, stored.next_offset, target, records, lost, skipped.digest, planner)
    with translated_errors("storing the plan"), engine.begin() as connection:
        before = _plan(connection, name)
        if before is not None:
            return before
        connection.execute(
            insert(offset_plan).values(
                id=plan.id,
                topic=plan.topic,
                partition=plan.partition,
                from_offset=plan.from_offset,
                to_offset=plan.to_offset,
                records=plan.records,
                lost=plan.lost,
                digest=plan.digest,
                planned_by=plan.planned_by,
            )
        )
    return plan


def apply_move(engine: Engine, bootstrap: str, name: str, mover: str, reason: str) -> OffsetPlan:
    """Carry out a plan, all of it or nothing, and record who did it and why.

    Raises:
        ConfigError: there is no such plan, or no reason is given.
        HubError: it was done before, or the log or the stored offset has changed since the plan was made.
        UnreachableError: Kafka or the database does not answer.
    """
    plan = stored_plan(engine, name)
    if plan.applied_at is not None:
        raise HubError(f"plan {name} was applied at {plan.applied_at:%Y-%m-%d %H:%M:%S} UTC")
    with translated_errors("reading the stored offset"), engine.connect() as connection:
        stored = _stored(connection, (plan.topic, plan.partition))
    if stored.next_offset != plan.from_offset:
        raise HubError(f"the stored offset is now {stored.next_offset}, not {plan.from_offset}: make a new plan")
    with log_reader(bootstrap) as consumer:
        skipped = _read(consumer, stored, plan.to_offset)
    if skipped.digest != plan.digest:
        raise HubError(f"{plan.place}: the log no longer holds what it held when this was planned: make a new plan")
    with translated_errors("moving the offset"), engine.begin() as connection:
        _move(connection, plan, stored, skipped, mover)
        detail = {
            "plan": plan.id,
            "place": plan.place,
            "to": plan.to_offset,
            "records": plan.records,
            "lost": plan.lost,
        }
        note(connection, Action(mover, MOVE, reason, detail=detail))
        let_go_on(connection, (plan.topic, plan.partition), plan.to_offset, mover, f"plan {plan.id}: {reason}")
        connection.execute(update(offset_plan).where(offset_plan.c.id == name).values(applied_at=func.now()))
    return plan


def stored_plan(engine: Engine, name: str) -> OffsetPlan:
    """Return a plan; raises ConfigError if there is none with that id."""
    with translated_errors("reading the plan"), engine.connect() as connection:
        plan = _plan(connection, name)
    if plan is None:
        raise ConfigError([f"there is no plan {name}; `hub offsets plan` makes one"])
    return plan


def _move(connection: Connection, plan: OffsetPlan, stored: Position, skipped: _Skipped, mover: str) -> None:
    digest = connection.execute(digest_in_force()).scalar_one_or_none()
    if digest is None:
        raise ConfigError(["no policy is in force yet: the first worker that starts applies its file"])
    rows = _audit_rows(stored.log, plan.id, skipped)
    advance = Advance(stored.log, plan.topic, plan.partition, plan.from_offset, plan.to_offset, rows.height)
    commit_batch(connection, Batch((advance,), (), refused=rows), Stamp(f"operator {mover}", digest))


def _audit_rows(log: int, plan: str, skipped: _Skipped) -> pl.DataFrame:
    """Return a rejected row for every skipped offset; also for a lost one, because a record was there."""
    said = pl.DataFrame(
        {
            "log_offset": [*skipped.lost, *skipped.offsets],
            "key": [*[None] * len(skipped.lost), *skipped.keys],
            "detail": [f"plan {plan}; the log had lost it"] * len(skipped.lost)
            + [f"plan {plan}; {why}" if why else f"plan {plan}" for why in skipped.whys],
        },
        schema={"log_offset": pl.Int64, "key": pl.Binary, "detail": pl.String},
    ).with_columns(
        log=pl.lit(log, pl.Int16),
        outcome=pl.lit(OUTCOME_OF_REASON[Reason.SKIPPED_BY_OPERATOR].value),
        reason=pl.lit(Reason.SKIPPED_BY_OPERATOR.value),
    )
    return audit_rows(said)


def _stored(connection: Connection, partition: Partition) -> Position:
    stored = read_positions(connection).get(partition)
    if stored is None:
        named = "/".join(map(str, partition))
        raise ConfigError([f"the hub has never read {named}: `hub offsets show` lists what it has"])
    return stored


def _plan(connection: Connection, name: str) -> OffsetPlan | None:
    row = connection.execute(select(offset_plan).where(offset_plan.c.id == name)).mappings().one_or_none()
    return None if row is None else OffsetPlan(**row)


def _target(consumer: KafkaConsumer, bootstrap: str, stored: Position, to: str) -> int:
    place = TopicPartition(stored.topic, stored.partition)
    if stored.partition not in (consumer.partitions_for_topic(stored.topic) or ()):
        raise ConfigError([f"there is no {stored.topic}/{stored.partition} on this Kafka"])
    begin, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
    if to not in {"begin", "end"} and not to.isdecimal():
        raise ConfigError([f"--to {to}: give a number, begin or end"])
    target = int(to) if to.isdecimal() else {"begin": begin, "end": end}[to]
    name = f"{stored.topic}/{stored.partition}"
    if target < stored.next_offset:
        raise ConfigError(
            [
                f"{name}: the stored offset is {stored.next_offset}; it is not moved back to {target}, since what was "
                "read has its rows in the audit log: `hub replay plan` reads it again"
            ]
        )
    if target == stored.next_offset:
        raise ConfigError([f"{name}: the stored offset is {target} already"])
    if target > end:
        written = written_ends(bootstrap, [place])[stored.topic, stored.partition]
        if target <= written:
            raise ConfigError(
                [
                    f"{name}: a transaction is open from {end} on; what it holds can be skipped when it has ended: "
                    "end its producer, or wait for transaction.timeout.ms"
                ]
            )
        raise ConfigError([f"{name}: the log ends at {end}; records that do not exist cannot be skipped"])
    return target


def _read(consumer: KafkaConsumer, stored: Position, target: int) -> _Skipped:
    """Read what is between the stored offset and the target; the same records give the same digest."""
    place = TopicPartition(stored.topic, stored.partition)
    begin = consumer.beginning_offsets([place])[place]
    lost = range(stored.next_offset, min(target, max(begin, stored.next_offset)))
    digest = hashlib.sha256(f"{stored.topic}/{stored.partition} {stored.next_offset} {target} {len(lost)}".encode())
    offsets: list[int] = []
    keys: list[bytes | None] = []
    whys: list[str] = []
    consumer.assign([place])
    at = max(begin, stored.next_offset)
    consumer.seek(place, at)
    quiet = 0
    while at < target and quiet < _QUIET_POLLS:
        records = consumer.poll(timeout_ms=250, max_records=5000).get(place, [])
        quiet = 0 if records else quiet + 1
        for record in records:
            why = record.why if isinstance(record, OddRecord) else ""
            # Damaged bytes may hold a record at each of their offsets: each offset gets its outcome.
            end = record.end if why else record.offset + 1
            for offset in range(record.offset, min(end, target)):
                offsets.append(offset)
                keys.append(record.key)
                whys.append(why)
            if record.offset < target:
                value = hashlib.sha256(record.value or b"").digest()
                digest.update(record.offset.to_bytes(8, "big") + (record.key or b"") + value + why.encode())
        at = max(consumer.position(place), records[-1].offset + 1 if records else at)
    if at < target:
        raise HubError(f"{stored.topic}/{stored.partition}/{at}: the log returns nothing more before {target}")
    return _Skipped(lost, offsets, keys, whys, digest.hexdigest())
