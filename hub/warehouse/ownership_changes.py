"""Count records that change hands, and conflicts that open and close, between two moments of a transaction."""

from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Select,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
    exists,
    func,
    insert,
    select,
)

from hub.warehouse.tables.core import conflict
from hub.warehouse.tables.entities import AspectTables

_NAMED = ("key", "part", "field", "source")


@dataclass(frozen=True, slots=True)
class OwnershipChanges:
    """The records of some keys of an aspect and their open conflicts at an earlier moment, in temporary tables."""

    tables: AspectTables
    records: Table
    conflicts: Table

    @classmethod
    def of(cls, tables: AspectTables) -> "OwnershipChanges":
        """Define the tables for one aspect; ``remember`` creates them."""
        name, metadata = tables.name.replace(".", "_"), MetaData()
        columns = [Column(part, tables.record.c[part].type) for part in tables.identity]
        return cls(
            tables,
            _temporary(f"{name}_held_before", metadata, [*columns, Column("source", SmallInteger)]),
            _temporary(
                f"{name}_open_before",
                metadata,
                [
                    Column("key", Uuid),
                    Column("part", Text),
                    Column("field", Text),
                    Column("source", SmallInteger),
                ],
            ),
        )

    def remember(self, connection: Connection, identities: Select[tuple[object, ...]]) -> None:
        """Store who holds the records of some identities, and the open conflicts of their keys."""
        self.records.create(connection, checkfirst=False)
        self.conflicts.create(connection, checkfirst=False)
        record, wanted = self.tables.record, identities.distinct().subquery()
        names = [*self.tables.identity, "source"]
        held = select(*(record.c[name] for name in names)).join_from(
            record, wanted, and_(*(record.c[name] == wanted.c[name] for name in self.tables.identity))
        )
        connection.execute(insert(self.records).from_select(names, held))
        open_now = select(*(conflict.c[name] for name in _NAMED)).where(self._is_open())
        connection.execute(insert(self.conflicts).from_select(list(_NAMED), open_now))

    def changed(self, connection: Connection) -> tuple[int, int, int]:
        """Count since then: records that another source holds now, conflicts opened, conflicts closed."""
        record, before = self.tables.record, self.records
        same = and_(*(record.c[name] == before.c[name] for name in self.tables.identity))
        handed = select(func.count()).join_from(record, before, same)
        handed = handed.where(record.c.source.is_distinct_from(before.c.source))
        match = and_(*(conflict.c[name] == self.conflicts.c[name] for name in _NAMED))
        was_open = exists().where(match).correlate(conflict)
        is_open = exists().where(match, self._is_open()).correlate(self.conflicts)
        opened = select(func.count()).select_from(conflict).where(self._is_open(), ~was_open)
        closed = select(func.count()).select_from(self.conflicts).where(~is_open)
        counts = [connection.execute(count).scalar_one() for count in (handed, opened, closed)]
        return counts[0], counts[1], counts[2]

    def _is_open(self) -> ColumnElement[bool]:
        keys = select(self.records.c.key)
        return and_(conflict.c.aspect == self.tables.name, conflict.c.closed_at.is_(None), conflict.c.key.in_(keys))


def _temporary(name: str, metadata: MetaData, columns: list[Column[object]]) -> Table:
    return Table(name, metadata, *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")
