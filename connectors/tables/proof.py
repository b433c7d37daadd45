"""Does the declared key identify each row? A constraint proves it for ever; a query proves it for the rows there are.

Rows that share a key or have none have no place in the order of pages, and the hub would take them for one thing. Such
a
table is refused. If no constraint guarantees the key, later rows may break it: they are set aside (``KEY_MISSING``,
``KEY_SHARED``), and every start asks again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, or_, select, text

from connectors.declared.declaration import Stream
from connectors.faults import LimitError, translated
from connectors.tables.constraints import never_null, unique_by
from connectors.tables.shape import Shape
from connectors.tables.unreadable import keys_are_readable

LIMIT_S = 60.0
"""The longest time that a proof by query may take, in seconds."""

_MANY = 1_000
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class KeyProof:
    """What is known of a key.

    Fields:
        kept_by: the constraint or index that keeps it unique; None: nothing does.
        nullable: key columns that may be null in a later row.
        problems: existing rows contradict the key; each names the line to change.
        doubts: what could not be proved, or is not guaranteed.
        is_doubtful: whether existing rows may contradict the key.
    """

    kept_by: str | None
    nullable: frozenset[str]
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    is_doubtful: bool = False

    @property
    def is_kept(self) -> bool:
        """Tell whether the database itself guarantees that every row has a key, and no two share one."""
        return self.kept_by is not None and not self.nullable


def prove(shape: Shape, limit_s: float = LIMIT_S) -> KeyProof:
    """Find out whether the key holds; queries the table only for what no constraint guarantees.

    Raises:
        RetryableError, ConfigError: as for any reading of the source.
    """
    stream = shape.stream
    with translated(shape.what), shape.engine.connect() as connection:
        kept_by = unique_by(connection, shape.table, stream.key)
        nullable = frozenset(stream.key) - never_null(connection, shape.table, stream.key)
        primary = [column.name for column in shape.table.primary_key.columns]
    if kept_by and not nullable:
        return KeyProof(kept_by, nullable)
    try:
        with keys_are_readable(shape), translated(shape.what), _limited(shape.engine, limit_s) as connection:
            problems = _problems(connection, shape, nullable, kept_by is None)
    except LimitError:
        doubt = f"whether it identifies each row could not be found out within {limit_s:g} s"
        return KeyProof(kept_by, nullable, (), (_told(stream, doubt, primary),), is_doubtful=True)
    told = tuple(f"{shape.what}: {_told(stream, problem, primary)}" for problem in problems)
    doubt = "no constraint guarantees it: later rows without a key, or with a shared one, become rejects"
    return KeyProof(kept_by, nullable, told, () if told else (_told(stream, doubt, primary),))


def _problems(connection: Connection, shape: Shape, nullable: frozenset[str], is_shared: bool) -> list[str]:
    key = [shape.table.c[name] for name in shape.stream.key]
    found = []
    some_null: list[ColumnElement[bool]] = [column.is_(None) for column in key if column.name in nullable]
    if some_null and (rows := _count(connection, shape.keys().where(or_(*some_null)))):
        found.append(f"{rows} {'row has' if rows == '1' else 'rows have'} no value in {', '.join(sorted(nullable))}")
    if is_shared:
        no_null: list[ColumnElement[bool]] = [column.is_not(None) for column in key if column.name in nullable]
        shared = shape.keys().where(*no_null).group_by(*key).having(func.count() > 1)
        if values := _count(connection, shared):
            found.append(f"{values} {'value is' if values == '1' else 'values are'} in more than one row")
    return found


def _count(connection: Connection, rows: Select[Any]) -> str | None:
    few = rows.limit(_MANY).subquery()
    count = connection.execute(select(func.count()).select_from(few)).scalar() or 0
    return f"{count} or more" if count == _MANY else str(count) if count else None


def _told(stream: Stream, problem: str, primary: list[str]) -> str:
    names = ", ".join(f'"{name}"' for name in primary)
    primary_key = f", such as the primary key: key = [{names}]" if primary and primary != list(stream.key) else ""
    given = ", ".join(f'"{name}"' for name in stream.key)
    wanted = f"key must name columns that are never null and together unique{primary_key}"
    return f"stream {stream.name}: key = [{given}]: {problem}; {wanted}"


@contextmanager
def _limited(engine: Engine, limit_s: float) -> Iterator[Connection]:
    """Yield a connection whose statements are limited in time, if its database supports that."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL statement_timeout = {int(limit_s * 1000)}"))
            yield connection
        elif engine.dialect.name == "sqlite":
            driver: Any = connection.connection.driver_connection
            give_up = time.monotonic() + limit_s
            driver.set_progress_handler(lambda: time.monotonic() > give_up, _STEPS)
            try:
                yield connection
            finally:
                driver.set_progress_handler(None, 0)
        elif engine.dialect.name in ("mysql", "mariadb") and getattr(connection.dialect, "is_mariadb", False):
            before = connection.execute(text("SELECT @@SESSION.max_statement_time")).scalar()
            connection.execute(text("SET SESSION max_statement_time = :limit"), {"limit": limit_s})
            yield connection
            connection.execute(text("SET SESSION max_statement_time = :before"), {"before": before})
        else:
            yield connection
