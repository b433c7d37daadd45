"""Create a replay's shadow: a whole warehouse in its own schema, in the database of the live one.

The same migrations create its tables. Registers (policy, sources with their numbers, calendar) are copied. State
is copied if the replay has a scope, and then the scope is withdrawn; the shadow of a whole rebuild begins empty.
"""

from sqlalchemy import Connection, Table, delete, func, insert, literal, select, text, update
from sqlalchemy.schema import CreateSchema, DropSchema

from hub.model.replay_state import ReplayState
from hub.operate.replay.filters import PlannedRange
from hub.operate.replay.ground import Ground, in_live
from hub.operate.replay.plan import live_places
from hub.operate.replay.shadow.withdraw import withdraw_scope
from hub.operate.replay.store import Replay, set_state
from hub.reconcile.shared.republish import JOB_LOG
from hub.reconcile.shared.stage import ensure_stages
from hub.warehouse.database import translated_errors
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.tables.core import conflict, log_partition, review
from hub.warehouse.tables.kinds import TableKind, in_schema, tables_of
from hub.warehouse.tables.replays import replay, replay_position

NUMBERS_APART = 1_000_000
"""Numbers of questions that a shadow opens lie this far above the live ones until both are compared."""

_REGISTERS = ("calendar", "calendar_day", "source", "authority", "policy")
"""In the order in which they may be filled."""


def fill_shadow(ground: Ground, replay: Replay) -> None:
    """Create the shadow from the beginning and fill it with what the plan starts from; drops what an earlier try left.

    Leaves the replay RUNNING, with a position for each log partition.
    """
    with translated_errors("making the shadow"):
        with ground.live.begin() as connection:
            set_state(connection, replay.id, ReplayState.FILLING)
            drop_schema(connection, replay.shadow)
            connection.execute(CreateSchema(replay.shadow))
        with ground.shadow(replay.shadow) as shadow:
            migrate(shadow, replay.shadow)
            _copy(ground, replay)
            _analyze(ground, replay)
            with shadow.connect() as connection:
                ensure_stages(connection)
                with connection.begin():
                    if not replay.selection.is_whole:
                        withdraw_scope(connection, replay.selection)
                    set_running(connection, ground.schema, replay.id)


def set_running(connection: Connection, live: str, number: int) -> None:
    """Record on a shadow's connection, in its transaction, that the replay is running."""
    running = update(replay).values(state=ReplayState.RUNNING.value, changed_at=func.now(), asked=None)
    connection.execute(running.where(replay.c.id == number), execution_options=in_live(live))


def drop_schema(connection: Connection, schema: str) -> None:
    """Drop a shadow with everything in it; it is no error if it does not exist."""
    connection.execute(DropSchema(schema, cascade=True, if_exists=True))


def _copy(ground: Ground, replay: Replay) -> None:
    """Copy registers, and state if the replay has a scope, as they are at one moment."""
    with ground.live.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        by_name = {table.name: table for table in tables_of(TableKind.REGISTER)}
        for name in reversed(_REGISTERS):
            connection.execute(delete(in_schema(by_name[name], replay.shadow)))
        for name in _REGISTERS:
            _copy_rows(connection, by_name[name], ground.schema, replay.shadow)
        connection.execute(delete(in_schema(log_partition, replay.shadow)))
        _copy_rows(connection, log_partition, ground.schema, replay.shadow)
        if not replay.selection.is_whole:
            for table in tables_of(TableKind.STATE):
                _copy_rows(connection, table, ground.schema, replay.shadow)
        _place(connection, replay)
        for table in (conflict, review):
            _number_apart(connection, table, replay.shadow)


def _copy_rows(connection: Connection, table: Table, live: str, shadow: str) -> None:
    names = [column.name for column in table.columns]
    source, target = in_schema(table, live), in_schema(table, shadow)
    connection.execute(insert(target).from_select(names, select(*(source.c[name] for name in names))))


def _place(connection: Connection, replay: Replay) -> None:
    """Set every log partition to where the replay begins to read it.

    Partitions outside the scope, and new ones since the plan was made, are read when the replay catches up.
    """
    planned = {one.log: one for one in replay.selection.ranges}
    connection.execute(delete(replay_position).where(replay_position.c.replay == replay.id))
    shadow = in_schema(log_partition, replay.shadow)
    for place in live_places(connection):
        # The shadow of a whole rebuild has no copy: a partition that is new since the plan is read from its beginning.
        elsewhere = place.first if replay.selection.is_whole else place.next_offset
        one = planned.get(place.log) or PlannedRange(
            place.log, place.topic, place.partition, elsewhere, elsewhere, elsewhere, place.first
        )
        copied = one.end if replay.selection.is_whole else place.next_offset
        connection.execute(
            insert(replay_position).values(
                replay=replay.id,
                log=one.log,
                first_offset=one.first,
                end_offset=one.end,
                copied_offset=copied,
                next_offset=one.first,
            )
        )
        connection.execute(
            update(shadow).values(first_offset=place.first, next_offset=one.first).where(shadow.c.id == one.log)
        )


def _number_apart(connection: Connection, table: Table, shadow: str) -> None:
    highest = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
    quoted = connection.dialect.identifier_preparer.format_table(in_schema(table, shadow))
    connection.execute(text(f"ALTER TABLE {quoted} ALTER COLUMN id RESTART WITH {int(highest) + NUMBERS_APART}"))


def _analyze(ground: Ground, replay: Replay) -> None:
    """Give the planner statistics of the copied tables; autovacuum would come too late for the first batches.

    This is done before the scope is withdrawn: the batches fill again what that empties, and a query plan made for
    empty tables is slow for full ones.
    """
    if replay.selection.is_whole:
        return
    with ground.live.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables_of(TableKind.STATE):
            quoted = connection.dialect.identifier_preparer.format_table(in_schema(table, replay.shadow))
            connection.execute(text(f"ANALYZE {quoted}"))


def add_new_partitions(connection: Connection, replay: Replay, shadow: str) -> None:
    """Give the shadow the log partitions that are new in the live warehouse since, each at its beginning."""
    table = in_schema(log_partition, shadow)
    names = [column.name for column in log_partition.columns if column.name != "next_offset"]
    new = select(*(log_partition.c[name] for name in names), log_partition.c.first_offset).where(
        log_partition.c.id.not_in(select(table.c.id))
    )
    connection.execute(insert(table).from_select([*names, "next_offset"], new))
    begin = log_partition.c.first_offset
    known = select(replay_position.c.log).where(replay_position.c.replay == replay.id)
    missing = select(literal(replay.id), log_partition.c.id, begin, begin, begin, begin).where(
        log_partition.c.id.not_in(known), log_partition.c.topic != JOB_LOG
    )
    columns = ["replay", "log", "first_offset", "end_offset", "copied_offset", "next_offset"]
    connection.execute(insert(replay_position).from_select(columns, missing))
