"""A stream's table in its source database: its columns, its conditions, its child tables."""

import warnings
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Numeric,
    Select,
    Table,
    and_,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.postgresql import DOMAIN, MONEY
from sqlalchemy.types import NullType

from connectors.base.port import JsonValue
from connectors.declared.declaration import Child, FieldRule, Stream, child_columns, columns_of
from connectors.faults import translated
from connectors.raw.narrow import LooseColumn, SingleColumn
from connectors.raw.place import bound, kept, key_problem
from connectors.tables.children import Children
from connectors.tables.conditions import condition_problems, conditions
from connectors.tables.proof import KeyProof, prove
from hub.model.errors import ConfigError

_KIND = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)")


class SourceTable:
    """The table of one stream. Reading its columns is the first contact with the source."""

    def __init__(self, engine: Engine, stream: Stream) -> None:
        self.engine = engine
        self.stream = stream
        self.what = f"source, table {stream.table}"
        self.is_postgresql = engine.dialect.name == "postgresql"
        self.has_writers = self.is_postgresql and _has_writers(engine, stream.table, self.what)
        self.table = _reflected(engine, stream.table, self.what)
        children = [
            (rule, rule.child, _reflected(engine, rule.child.table, self.what)) for rule in stream.fields if rule.child
        ]
        self._check(children)
        self.child_tables = [table for _, _, table in children]
        self._children = [Children(self, rule, table) for rule, _, table in children]
        # until `prove_key` is called, no constraint is known to keep the key unique
        self.proof = KeyProof(None, frozenset(stream.key))
        self.shared: frozenset[str] = frozenset()
        self._conditions = conditions(self.table, stream, engine.dialect.name)
        self.columns = [self._raw(name) for name in columns_of(stream)]
        self.key = [self.table.c[name] for name in stream.key]
        self.changed_at = self.table.c[stream.changed_at] if stream.changed_at else None

    def _check(self, children: Sequence[tuple[FieldRule, Child, Table]]) -> None:
        wanted = [*columns_of(self.stream), *self.stream.where, *([self.stream.txid] if self.stream.txid else [])]
        problems = [f"{self.what}: there is no column {name!r}" for name in wanted if name not in self.table.c]
        for rule, child, table in children:
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
        if not problems:
            problems = condition_problems(self.engine, self.table, self.stream, self.what)
        if problems:
            raise ConfigError(problems)

    def _raw(self, name: str) -> ColumnElement[Any]:
        """Return the expression that selects a column; ``raw``, with texts in a loose key of SQLite marked."""
        column = self.table.c[name]
        is_key = name in self.stream.key and self.engine.dialect.name == "sqlite"
        if is_key and isinstance(column.type, NullType | LargeBinary):
            return type_coerce(column, LooseColumn()).label(name)
        return raw(column)

    def rows(self) -> Select[Any]:
        """Return the select of all rows of the stream, unordered."""
        return select(*self.columns).where(*self._conditions)

    def keys(self) -> Select[Any]:
        """Return the select of the keys of all rows of the stream, unordered."""
        return self.rows().with_only_columns(*self.key)

    def without_key(self) -> ColumnElement[bool]:
        """Return the condition of the rows that have a null in their key, where no constraint forbids it."""
        return or_(false(), *(self.table.c[name].is_(None) for name in sorted(self.proof.nullable)))

    def after(self, place: Sequence[JsonValue]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key comes after a place; never true for rows without a key."""
        pairs = self._pairs(place)
        # the condition on the first column alone lets the database use its index
        return and_(pairs[0][0] >= pairs[0][1], _is_later(pairs))

    def up_to(self, place: Sequence[JsonValue]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key is at a place or before it; never true for rows without a key."""
        pairs = self._pairs(place)
        return and_(pairs[0][0] <= pairs[0][1], not_(_is_later(pairs)))

    def at(self, place: Sequence[JsonValue]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key is at a place."""
        return and_(*(column == value for column, value in self._pairs(place)))

    def at_any(self, places: Sequence[Sequence[JsonValue]]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key is at one of some places."""
        if len(self.key) > 1:
            return or_(*map(self.at, places))
        return type_coerce(self.key[0], NullType()).in_([bound(value, self.engine.dialect.name) for (value,) in places])

    def _pairs(self, place: Sequence[JsonValue]) -> list[tuple[ColumnElement[Any], ColumnElement[Any]]]:
        columns = [type_coerce(column, NullType()) for column in self.key]
        values = [bound(value, self.engine.dialect.name) for value in place]
        return list(zip(columns, values, strict=True))

    def place(self, row: Sequence[Any]) -> list[JsonValue]:
        """Return a row's key as a position stores it."""
        return [kept(value) for value in row[: len(self.key)]]

    @property
    def width(self) -> int:
        """Number of values in a row, its lists of child rows included."""
        return len(self.columns) + len(self._children)

    def selected(self, column: Column[Any]) -> ColumnElement[Any]:
        """Return the expression that selects a column of this table or of a child table."""
        return raw(column)

    def with_children(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """Return the rows, each with one list of child rows appended per child table."""
        for children in self._children:
            found = children.of_rows(connection, rows)
            rows = [(*row, own) for row, own in zip(rows, found, strict=True)]
        return rows

    def look_for_shared(self, connection: Connection, wanted: Select[Any]) -> None:
        """Remember in ``shared`` the keys that several of the rows have; asked only if no constraint prevents it."""
        if not self.proof.is_kept:
            keys = wanted.with_only_columns(*map(self.selected, self.key)).group_by(*self.key)
            rows = connection.execute(keys.having(func.count() > 1))
            self.shared = frozenset(repr(self.place(tuple(row))) for row in rows)

    def prove_key(self) -> KeyProof:
        """Find out whether the declared key identifies each row, and remember it.

        Raises:
            ConfigError: existing rows share a key or have none.
        """
        self.proof = prove(self)
        if self.proof.problems:
            raise ConfigError(self.proof.problems)
        return self.proof


def _is_later(pairs: Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]) -> ColumnElement[bool]:
    """Return the condition that columns, compared in order, come after the values they are paired with."""
    condition: ColumnElement[bool] = false()
    for column, value in reversed(pairs):
        condition = or_(column > value, and_(column == value, condition))
    return condition


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """Return the expression that selects a column under its own name, as its driver gives it (``connectors.raw``).

    SQLAlchemy's own conversions would raise for values that their Python type cannot hold, and the page would be lost.
    """
    kind = column.type.data_type if isinstance(column.type, DOMAIN) else column.type
    # money is printed by the server's locale; cast to a number, the server does the conversion itself
    value: ColumnElement[Any] = cast(column, Numeric) if isinstance(kind, MONEY) else column
    if isinstance(kind, mysql.FLOAT):
        return type_coerce(column + literal_column("0e0"), SingleColumn()).label(column.name)
    return type_coerce(value, NullType()).label(column.name)


def _has_writers(engine: Engine, name: str, what: str) -> bool:
    """Tell whether PostgreSQL stores each row's writing transaction: a view and a foreign table have none."""
    with translated(what), engine.connect() as connection:
        prepared = ".".join(map(connection.dialect.identifier_preparer.quote, _parts(name)))
        kind = connection.execute(_KIND, {"name": prepared}).scalar()
    return kind not in ("v", "f")


def _parts(name: str) -> list[str]:
    schema, _, table = name.rpartition(".")
    return [schema, table] if schema else [table]


def _reflected(engine: Engine, name: str, what: str) -> Table:
    schema, _, table = name.rpartition(".")
    with translated(what), warnings.catch_warnings():
        # types that SQLAlchemy does not know do not matter: their values come as the driver gives them
        warnings.filterwarnings("ignore", message="Did not recognize type")
        return Table(table, MetaData(), schema=schema or None, autoload_with=engine, resolve_fks=False)
