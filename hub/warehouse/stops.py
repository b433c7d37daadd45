"""Stopped partitions: written when they stop, read when a worker places its partitions.

A stop is durable. So a worker that takes over the partition, or restarts, does not continue where another was stopped.
Each function runs in the caller's transaction, which must not be a batch's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, and_, func, null, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from hub.log.places import Partition
from hub.model.alerts import PARTITION_STOPPED, WORKER_BUG
from hub.model.policies.breaker_limits import BreakerLimits
from hub.model.stop_causes import StopCause
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.bugs import forget_passed
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import Position
from hub.warehouse.tables.core import dead_letter
from hub.warehouse.tables.letters import partition_stop as table


@dataclass(frozen=True, slots=True)
class Stop:
    """The latest stop of a partition.

    Fields:
        stop_offset: the stored offset, from which it will continue.
        poison_offset: the record that reached the limit, or the first place that cannot be read.
        why: in words.
        reasons: number of poison records among the polled ones, by reason.
        limits: the limits in force at the stop.
        resumed_at: None while it is stopped.
        accept_poison: how many poison records from ``stop_offset`` on may become dead letters without being counted;
            the count restarts there. 0: it continues as if there had been no stop.
        bug: the bug and its place in the code, without values; None for other causes.
    """

    topic: str
    partition: int
    stop_offset: int
    poison_offset: int
    why: str
    reasons: Mapping[str, int]
    limits: BreakerLimits
    stopped_by: str
    stopped_at: datetime | None = None
    resumed_at: datetime | None = None
    resumed_by: str | None = None
    purpose: str | None = None
    accept_poison: int = 0
    cause: StopCause = StopCause.STORM
    bug: str | None = None

    @property
    def place(self) -> str:
        """Return ``topic/partition``."""
        return f"{self.topic}/{self.partition}"

    @property
    def is_standing(self) -> bool:
        """Tell whether the partition is stopped."""
        return self.resumed_at is None


@dataclass(frozen=True, slots=True)
class Past:
    """What a breaker must know of a partition before its next record.

    Fields:
        stop: the stop in force; None if the partition is not stopped.
        poison: offsets of the last dead letters that count, ascending.
        allowance: poison records that an operator accepted and that have not come yet.
    """

    stop: Stop | None = None
    poison: tuple[int, ...] = ()
    allowance: int = 0


def read_stops(connection: Connection, standing_only: bool = False) -> list[Stop]:
    """Return the latest stop of every partition that was ever stopped, by topic and partition."""
    of = table.c
    query = select(table).order_by(of.topic, of.partition)
    if standing_only:
        query = query.where(of.resumed_at.is_(None))
    return [
        Stop(
            row.topic,
            row.partition,
            row.stop_offset,
            row.poison_offset,
            row.why,
            row.reasons,
            BreakerLimits(row.limit_run, row.limit_window, row.limit_share),
            row.stopped_by,
            row.stopped_at,
            row.resumed_at,
            row.resumed_by,
            row.purpose,
            row.accept_poison,
            StopCause(row.cause),
            row.bug,
        )
        for row in connection.execute(query)
    ]


def write_stop(connection: Connection, stop: Stop) -> None:
    """Make a stop durable and raise its alert."""
    values = {
        "stop_offset": stop.stop_offset,
        "poison_offset": stop.poison_offset,
        "why": stop.why,
        "reasons": dict(stop.reasons),
        "limit_run": stop.limits.run,
        "limit_window": stop.limits.window,
        "limit_share": stop.limits.share,
        "stopped_by": stop.stopped_by,
        "cause": stop.cause.value,
        "bug": stop.bug,
    }
    again = {"stopped_at": func.now(), "resumed_at": null(), "resumed_by": null(), "purpose": null()}
    connection.execute(
        insert(table)
        .values(topic=stop.topic, partition=stop.partition, **values)
        .on_conflict_do_update(index_elements=["topic", "partition"], set_={**values, **again, "accept_poison": 0})
    )
    alert = WORKER_BUG if stop.cause is StopCause.WORKER_BUG else PARTITION_STOPPED
    raise_alert(connection, alert, stop.place, _detail(stop))


def _detail(stop: Stop) -> str:
    if stop.cause is not StopCause.STORM:
        return f"{stop.cause.value}: {stop.why}; it stands at {stop.stop_offset}"
    counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(stop.reasons.items()))
    return (
        f"{stop.why}, at {stop.place}/{stop.poison_offset} ({counts}); it stands at {stop.stop_offset}: "
        f"mend the cause, then hub partitions resume {stop.place}"
    )


def resume(connection: Connection, partition: Partition, by: str, purpose: str, accept_poison: int = 0) -> bool:
    """Resume a stopped partition, and close its alert; return whether it was stopped."""
    topic, number = partition
    resumed = connection.execute(
        update(table)
        .where(table.c.topic == topic, table.c.partition == number, table.c.resumed_at.is_(None))
        .values(resumed_at=func.now(), resumed_by=by, purpose=purpose, accept_poison=accept_poison)
    ).rowcount
    standing = read_stops(connection, standing_only=True)
    others = [stop.place for stop in standing if stop.cause is not StopCause.WORKER_BUG]
    clear_alert(connection, PARTITION_STOPPED, others)
    forget_passed(connection)
    return bool(resumed)


def let_go_on(connection: Connection, partition: Partition, next_offset: int, by: str, purpose: str) -> None:
    """Resume a partition whose stored offset was moved past the cause of the stop; storms have their own command."""
    stop = next((one for one in read_stops(connection, True) if (one.topic, one.partition) == partition), None)
    if stop is not None and stop.cause is not StopCause.STORM and next_offset > stop.poison_offset:
        resume(connection, partition, by, purpose)


def read_pasts(
    connection: Connection, positions: Mapping[Partition, Position], limits: BreakerLimits, worker: str
) -> dict[Partition, Past]:
    """Return what breakers must know of some partitions, at their stored positions.

    Resumes a stop whose limits were raised since.
    """
    stops = {(stop.topic, stop.partition): stop for stop in read_stops(connection)}
    for partition in stops.keys() & positions.keys():
        stop = stops[partition]
        if stop.is_standing and stop.cause is StopCause.STORM and limits.is_looser_than(stop.limits):
            resume(connection, partition, worker, "the policy's limits were raised")
    stops = {(stop.topic, stop.partition): stop for stop in read_stops(connection)}
    poison = _recent_poison(connection, positions.values(), limits.window, stops)
    return {
        partition: _past(stops.get(partition), poison.get(position.log, []), position, limits.window)
        for partition, position in positions.items()
    }


def _past(stop: Stop | None, poison: list[int], position: Position, window: int) -> Past:
    first = position.next_offset - window
    if stop is not None and stop.is_standing:
        return Past(stop)
    if stop is None or not stop.accept_poison:
        # With no accepted poison records the old ones count: a poison record stops the partition again, at the same
        # record.
        return Past(None, tuple(poison))
    since = [offset for offset in poison if offset >= stop.stop_offset]
    counted = since[stop.accept_poison :]
    return Past(None, tuple(offset for offset in counted if offset >= first), max(0, stop.accept_poison - len(since)))


def _recent_poison(
    connection: Connection, positions: Collection[Position], window: int, stops: Mapping[Partition, Stop]
) -> dict[int, list[int]]:
    """Return offsets of dead letters by log partition: of the last window, or since a stop that accepted some."""
    if not positions:
        return {}
    ranges = []
    for position in positions:
        stop = stops.get((position.topic, position.partition))
        first = stop.stop_offset if stop and stop.accept_poison else position.next_offset - window
        ranges.append(and_(dead_letter.c.log == position.log, dead_letter.c.log_offset >= first))
    here = tuple_(dead_letter.c.log, dead_letter.c.log_offset)
    found: dict[int, list[int]] = {}
    for log, offset in connection.execute(select(*here.clauses).where(or_(*ranges)).order_by(*here.clauses)):
        found.setdefault(log, []).append(offset)
    return found


class StopStore:
    """The stops for a worker: each call is a separate transaction, and blocks."""

    def __init__(self, engine: Engine, limits: BreakerLimits, worker: str) -> None:
        self.limits = limits
        self.worker = worker
        self._engine = engine

    def pasts(self, positions: Mapping[Partition, Position]) -> dict[Partition, Past]:
        """See ``read_pasts``; raises RetryableError."""
        with translated_errors("reading stopped partitions"), self._engine.begin() as connection:
            return read_pasts(connection, positions, self.limits, self.worker)

    def write(self, stops: Collection[Stop]) -> None:
        """Make stops durable and raise their alerts; raises RetryableError."""
        with translated_errors("stopping partitions"), self._engine.begin() as connection:
            for stop in stops:
                write_stop(connection, stop)

    def standing(self) -> frozenset[Partition]:
        """Return the stopped partitions; raises RetryableError."""
        with translated_errors("reading stopped partitions"), self._engine.begin() as connection:
            return frozenset((stop.topic, stop.partition) for stop in read_stops(connection, standing_only=True))
