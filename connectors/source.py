"""A stream's table in its source database: its columns, its conditions, its child tables."""

import warnings
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Numeric,
    Select,
    Table,
    and_,
    bindparam,
    cast,
    false,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import DOMAIN, MONEY
from sqlalchemy.types import NullType

from connectors.declaration import Child, FieldRule, Stream, child_columns, columns_of
from connectors.faults import translated
from connectors.port import JsonValue
from connectors.raw.place import bound, kept, key_problem
from hub.model.errors import ConfigError


class SourceTable:
    """The table of one stream. Reading its shape is the first contact with the source."""

    def __init__(self, engine: Engine, stream: Stream) -> None:
        self.engine = engine
        self.stream = stream
        self.what = f"source, table {stream.table}"
        self.is_postgresql = engine.dialect.name == "postgresql"
        self.table = _reflected(engine, stream.table, self.what)
        self._children: list[tuple[FieldRule, Child, Table]] = [
            (rule, rule.child, _reflected(engine, rule.child.table, self.what)) for rule in stream.fields if rule.child
        ]
        self._check()
        self.columns = [raw(self.table.c[name]) for name in columns_of(stream)]
        self.key = [self.table.c[name] for name in stream.key]
        self.changed_at = self.table.c[stream.changed_at] if stream.changed_at else None

    def _check(self) -> None:
        wanted = [*columns_of(self.stream), *self.stream.where, *([self.stream.txid] if self.stream.txid else [])]
        problems = [f"{self.what}: there is no column {name!r}" for name in wanted if name not in self.table.c]
        for rule, child, table in self._children:
            problems += [
                f"{self.what}: child table {table.name} has no column {name!r}"
                for name in (*child_columns(rule), *child.on, *child.order)
                if name not in table.c
            ]
        problems += [
            f"{self.what}: key column {name!r}: {problem}"
            for name in self.stream.key
            if name in self.table.c
            and (problem := key_problem(self.table.c[name].type, self.engine.dialect.name)) is not None
        ]
        if problems:
            raise ConfigError(problems)

    def rows(self) -> Select[Any]:
        """Return the select of all rows of the stream, with no order."""
        statement = select(*self.columns)
        for name, values in self.stream.where.items():
            statement = statement.where(self.table.c[name].in_(values))
        return statement

    def after(self, place: Sequence[JsonValue]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key comes after a place."""
        columns = [type_coerce(column, NullType()) for column in self.key]
        values = [bound(value, self.engine.dialect.name) for value in place]
        condition: ColumnElement[bool] = false()
        for column, value in reversed(list(zip(columns, values, strict=True))):
            condition = or_(column > value, and_(column == value, condition))
        # the first column alone lets the database use its index
        return and_(columns[0] >= values[0], condition)

    def at(self, place: Sequence[JsonValue]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key is at a place."""
        values = [bound(value, self.engine.dialect.name) for value in place]
        return and_(*(type_coerce(column, NullType()) == value for column, value in zip(self.key, values, strict=True)))

    def place(self, row: Sequence[Any]) -> list[JsonValue]:
        """Return a row's key as a position keeps it."""
        return [kept(value) for value in row[: len(self.key)]]

    def with_children(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """Return the rows with one list of child rows appended per child table; one query per child table and page."""
        for rule, child, table in self._children:
            place = columns_of(self.stream).index(next(iter(child.on.values())))
            parents = sorted({row[place] for row in rows if row[place] is not None})
            found = _child_rows(connection, _child_select(rule, child, table), parents)
            rows = [(*row, found.get(row[place], [])) for row in rows]
        return rows


def _child_select(rule: FieldRule, child: Child, table: Table) -> Select[Any]:
    """Return the select of child rows; the last column links to the parent and is bound to ``parents``."""
    link = table.c[next(iter(child.on))]
    columns = [raw(table.c[name]) for name in child_columns(rule)]
    wanted = link.in_(bindparam("parents", expanding=True))
    return select(*columns, link).where(wanted).order_by(link, *(table.c[name] for name in child.order))


def _child_rows(connection: Connection, statement: Select[Any], parents: list[Any]) -> dict[Any, list[Sequence[Any]]]:
    found: dict[Any, list[Sequence[Any]]] = {}
    if parents:
        for row in connection.execute(statement, {"parents": parents}):
            found.setdefault(row[-1], []).append(tuple(row)[:-1])
    return found


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """Return what selects a column as its driver gives it (``connectors.raw``), by its own name.

    SQLAlchemy's own conversions would raise for what their Python type cannot hold, and lose the page.
    """
    kind = column.type.data_type if isinstance(column.type, DOMAIN) else column.type
    # money is printed as the server's locale has it; as a number it is the server's own reckoning
    value: ColumnElement[Any] = cast(column, Numeric) if isinstance(kind, MONEY) else column
    return type_coerce(value, NullType()).label(column.name)


def _reflected(engine: Engine, name: str, what: str) -> Table:
    schema, _, table = name.rpartition(".")
    with translated(what), warnings.catch_warnings():
        # types SQLAlchemy does not know are no concern of ours: they come as their driver gives them
        warnings.filterwarnings("ignore", message="Did not recognize type")
        return Table(table, MetaData(), schema=schema or None, autoload_with=engine, resolve_fks=False)
