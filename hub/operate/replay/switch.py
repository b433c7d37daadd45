"""Make a shadow live, and go back: the tables of state change places, in one transaction.

What the live warehouse held before is afterwards in the shadow's schema, with everything a warehouse needs to catch
up. So going back loses nothing that came since. Audit rows, offsets, policy and calendar stay where they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.schema import CreateSchema, DropSchema

from hub.model.errors import ConfigError, HubError
from hub.model.replay_state import ReplayState
from hub.operate.actions import Action, note
from hub.operate.replay.failures import clear_failure, failures_marked
from hub.operate.replay.ground import Ground
from hub.operate.replay.left import account_for_parked, note_left, take_withdrawn
from hub.operate.replay.pipeline import Progress
from hub.operate.replay.publish import note_differing, take_differing
from hub.operate.replay.rate import RateCap
from hub.operate.replay.run import behind_live, catch_up, check_ground, checked
from hub.operate.replay.store import Replay, check_state, hold_replay, set_state
from hub.reconcile.fence import hold_back_batches
from hub.reconcile.shared.republish import JOB_LOG
from hub.retry import BUSY_TABLES, SHORT_COMMAND
from hub.warehouse.database import translated_errors
from hub.warehouse.setup.roles import grant_roles
from hub.warehouse.tables.core import log_partition
from hub.warehouse.tables.dossiers import calendar
from hub.warehouse.tables.kinds import TableKind, in_schema, of_shadow, tables_of
from hub.warehouse.tables.replays import replay

MOST_HELD = 200_000
"""Most records to catch up with while the live worker must wait."""

LOCK_TIMEOUT = "10s"
_SHORT_LOCK_TIMEOUT = "300ms"
"""Shorter than PostgreSQL's wait before it looks for a deadlock (``deadlock_timeout``, 1 s) and ends a session."""
_TRANSIT = "replay_transit"


@dataclass(frozen=True, slots=True)
class Switched:
    """What a switch, or its undoing, did.

    Fields:
        caught_up: events that were read because the live warehouse had consumed them since.
        published: keys noted for share; none if the plan does not have ``publish``.
        withdrawn: keys and sources whose newest claim is gone or older.
        tables: tables that changed places.
    """

    id: int
    state: ReplayState
    caught_up: int
    published: int
    withdrawn: int
    tables: int


def switch(ground: Ground, number: int, by: Action, watch: Callable[[Progress], None]) -> Switched:
    """Make a replay's shadow live; the live worker waits meanwhile, then goes on.

    Raises:
        ConfigError: the replay is not READY, or the policy or tables of its plan have changed.
        HubError: the live warehouse moves faster than the shadow catches up.
    """
    return _change_places(ground, number, by, watch, ReplayState.READY)


def undo(ground: Ground, number: int, by: Action, watch: Callable[[Progress], None]) -> Switched:
    """Make the state before a switch live again, with everything that has come since.

    Raises:
        ConfigError: the replay is not SWITCHED, a later one is, or another policy is in force.
        HubError: the live warehouse moves faster than the earlier state catches up.
    """
    return _change_places(ground, number, by, watch, ReplayState.SWITCHED)


def _change_places(
    ground: Ground, number: int, by: Action, watch: Callable[[Progress], None], from_state: ReplayState
) -> Switched:
    with hold_replay(ground.live, number), failures_marked(ground.live, number):
        of = checked(ground.live, number)
        check_state(of, by.name, from_state)
        with translated_errors("looking at other replays"), ground.live.connect() as connection:
            _check_latest(connection, of)
        ran = catch_up(ground, of, watch, RateCap(None))
        with translated_errors("comparing"), ground.live.begin() as connection:
            note_left(connection, of)
        if of.publish:
            note_differing(ground, of)
        done = SHORT_COMMAND.retrying()(_transact, ground, of, by, watch)
    return Switched(number, done.state, ran.read + done.caught_up, done.published, done.withdrawn, done.tables)


def _check_latest(connection: Connection, plan: Replay) -> None:
    """Refuse to go back past a later switch: the latest switch must be undone first."""
    later = connection.execute(
        select(func.max(replay.c.id)).where(
            replay.c.state == ReplayState.SWITCHED.value, replay.c.changed_at > plan.changed_at, replay.c.id != plan.id
        )
    ).scalar_one()
    if plan.state is ReplayState.SWITCHED and later is not None:
        raise ConfigError([f"replay {later} was switched after replay {plan.id}: undo that one first"])


def _transact(ground: Ground, replay: Replay, by: Action, watch: Callable[[Progress], None]) -> Switched:
    """Make the live worker wait, catch up with the rest, and change places."""
    with translated_errors("changing places"), ground.live.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        hold_back_batches(connection)
        connection.execute(select(log_partition.c.id).order_by(log_partition.c.id).with_for_update())
        caught_up = _catch_up_held(connection, ground, replay, watch)
        check_ground(connection, replay)
        _check_alike(connection, replay)
        going_back = replay.state is ReplayState.SWITCHED
        account_for_parked(connection, replay)
        withdrawn = take_withdrawn(connection, replay, going_back)
        published = take_differing(connection, replay) if replay.publish else 0
        tables = _swap(connection, ground.schema, replay.shadow)
        grant_roles(connection, ground.schema)
        state = ReplayState.UNDONE if going_back else ReplayState.SWITCHED
        set_state(connection, replay.id, state)
        clear_failure(connection, replay.id)
        detail = {"replay": replay.id, "caught_up": caught_up, "published": published, "withdrawn": withdrawn}
        note(connection, Action(by.actor, by.name, by.purpose, detail=detail))
    return Switched(replay.id, state, caught_up, published, withdrawn, tables)


def _catch_up_held(connection: Connection, ground: Ground, replay: Replay, watch: Callable[[Progress], None]) -> int:
    behind = behind_live(connection, replay.id)
    if behind > MOST_HELD:
        raise HubError(
            f"the live warehouse has moved on by {behind:,} records while the shadow caught up: "
            f"run `hub replay run {replay.id} --execute` again, when less is coming in"
        )
    read = catch_up(ground, replay, watch, RateCap(None)).read if behind else 0
    left = behind_live(connection, replay.id)
    if left:
        raise HubError(
            f"the live warehouse is {left:,} records ahead of the shadow: "
            f"run `hub replay run {replay.id} --execute` again"
        )
    return read


def _check_alike(connection: Connection, replay: Replay) -> None:
    """Refuse if the two are not at the same place in the log, or compute deadlines by different calendars."""
    mine = of_shadow(log_partition, replay.shadow)
    apart = connection.execute(
        select(log_partition.c.topic, log_partition.c.partition, log_partition.c.next_offset, mine.c.next_offset)
        .outerjoin(mine, mine.c.id == log_partition.c.id)
        .where(log_partition.c.topic != JOB_LOG, log_partition.c.next_offset.is_distinct_from(mine.c.next_offset))
    ).all()
    if apart:
        topic, partition, live, shadow = apart[0]
        raise HubError(
            f"{topic}/{partition}: the live warehouse is at offset {live} and the shadow at {shadow}: "
            f"run `hub replay run {replay.id} --execute` again"
        )
    theirs = of_shadow(calendar, replay.shadow)
    versions = [
        connection.execute(select(table.c.version).where(table.c.in_force)).scalar_one() for table in (calendar, theirs)
    ]
    if versions[0] != versions[1]:
        raise ConfigError(
            [f"deadlines are computed by {versions[0]} now, in the shadow by {versions[1]}: make a new plan"]
        )


def _swap(connection: Connection, live: str, shadow: str) -> int:
    """Exchange the tables of state of two schemas; return how many pairs there were."""
    tables = tables_of(TableKind.STATE)
    _lock(connection, tables, (live, shadow))
    connection.execute(CreateSchema(_TRANSIT))
    for source, target in ((live, _TRANSIT), (shadow, live), (_TRANSIT, shadow)):
        for table in tables:
            connection.execute(text(f'ALTER TABLE {_quoted(connection, table, source)} SET SCHEMA "{target}"'))
    connection.execute(DropSchema(_TRANSIT))
    return len(tables)


def _lock(connection: Connection, tables: Sequence[Table], schemas: Sequence[str]) -> None:
    """Lock the tables for this transaction alone: all of them at once, or none; then wait a moment and try again.

    A reader of several tables, in another order, would otherwise wait for us while we wait for it.
    """
    names = ", ".join(_quoted(connection, table, schema) for schema in schemas for table in tables)
    connection.execute(text(f"SET LOCAL lock_timeout = '{_SHORT_LOCK_TIMEOUT}'"))
    for attempt in BUSY_TABLES.retrying():
        with attempt, translated_errors("waiting for readers"), connection.begin_nested():
            connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def _quoted(connection: Connection, table: Table, schema: str) -> str:
    return connection.dialect.identifier_preparer.format_table(in_schema(table, schema))
