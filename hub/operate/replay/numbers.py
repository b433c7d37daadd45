"""Give a shadow's rows what the live warehouse already calls them: numbers of questions, times since when they stand.

An officer's number of a conflict or review goes on meaning the same one after the switch. Nothing else is taken over:
what stands, stands by the shadow's own events.
"""

from sqlalchemy import ColumnElement, Connection, Table, Update, and_, case, literal, update

from hub.operate.replay.discarded import drop_discarded
from hub.warehouse.tables.core import conflict, parked, release, review
from hub.warehouse.tables.kinds import in_schema

_NAMED = {
    "conflict": ("aspect", "key", "part", "field", "source"),
    "review": ("kind", "aspect", "key", "part", "field", "source"),
}
_OFF = 2**62
"""Numbers pass through here, so that no two rows have the same one on the way."""


def keep_numbers(connection: Connection, live: str, shadow: str) -> None:
    """Number the shadow's questions as the live ones are, and let parked records wait since when they wait there."""
    for table in (conflict, review):
        connection.execute(_numbers_off(table, live, shadow))
        connection.execute(_numbers_kept(table, live, shadow))
    connection.execute(_parked_since(live, shadow))
    drop_discarded(connection, live, shadow)


def _numbers_off(table: Table, live: str, shadow: str) -> Update:
    """Move the numbers of rows that are to get another one out of the way."""
    mine, theirs = in_schema(table, shadow), in_schema(table, live)
    return update(mine).values(id=mine.c.id + _OFF).where(_same(table, live, shadow), mine.c.id != theirs.c.id)


def _numbers_kept(table: Table, live: str, shadow: str) -> Update:
    mine, theirs = in_schema(table, shadow), in_schema(table, live)
    is_open_in_both = and_(mine.c.closed_at.is_(None), theirs.c.closed_at.is_(None))
    opened = case((is_open_in_both, theirs.c.opened_at), else_=mine.c.opened_at)
    return update(mine).values(id=theirs.c.id, opened_at=opened).where(_same(table, live, shadow))


def _same(table: Table, live: str, shadow: str) -> ColumnElement[bool]:
    mine, theirs = in_schema(table, shadow), in_schema(table, live)
    return and_(*(mine.c[name] == theirs.c[name] for name in _NAMED[table.name]))


def _parked_since(live: str, shadow: str) -> Update:
    mine, theirs = in_schema(parked, shadow), in_schema(parked, live)
    return (
        update(mine)
        .values(parked_at=theirs.c.parked_at, let_in=theirs.c.let_in)
        .where(mine.c.log == theirs.c.log, mine.c.log_offset == theirs.c.log_offset)
    )


def let_in_as_live(connection: Connection, live: str, shadow: str) -> None:
    """Let in what still waits in the shadow, and was released in the live warehouse: an officer let it in there."""
    mine, theirs = in_schema(parked, shadow), in_schema(release, live)
    connection.execute(
        update(mine)
        .values(let_in=literal(True))
        .where(mine.c.log == theirs.c.log, mine.c.log_offset == theirs.c.log_offset)
    )
