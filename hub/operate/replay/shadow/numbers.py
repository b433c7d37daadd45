"""Give a shadow's rows the numbers and times that the live warehouse gave them: of questions, and of waiting.

An officer's number of a conflict or review keeps its meaning after the switch. Nothing else is copied:
everything else comes from the shadow's own events.
"""

from sqlalchemy import ColumnElement, Connection, Table, Update, and_, case, literal, update

from hub.operate.replay.shadow.discarded import drop_discarded
from hub.warehouse.tables.core import conflict, parked, release, review
from hub.warehouse.tables.kinds import in_schema

_NAMED = {
    "conflict": ("aspect", "key", "part", "field", "source"),
    "review": ("kind", "aspect", "key", "part", "field", "source"),
}
_OFF = 2**62
"""Added to numbers for a moment, so that no two rows ever have the same number."""


def keep_numbers(connection: Connection, live: str, shadow: str) -> None:
    """Give the shadow's questions their live numbers, and its parked records the time since when they wait live."""
    for table in (conflict, review):
        connection.execute(_numbers_off(table, live, shadow))
        connection.execute(_numbers_kept(table, live, shadow))
    connection.execute(_parked_since(live, shadow))
    drop_discarded(connection, live, shadow)


def _numbers_off(table: Table, live: str, shadow: str) -> Update:
    """Move the numbers of rows that will get another one out of the way."""
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
    """Allow what still waits in the shadow but was released in the live warehouse: an officer decided it there."""
    mine, theirs = in_schema(parked, shadow), in_schema(release, live)
    connection.execute(
        update(mine)
        .values(let_in=literal(True))
        .where(mine.c.log == theirs.c.log, mine.c.log_offset == theirs.c.log_offset)
    )
