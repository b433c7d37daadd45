"""The warehouse's advisory locks, listed by purpose; this is the only module that takes one.

A lock's key consists of its purpose and the connection's schema, so a replay's shadow and the live warehouse never wait
for each other. A table in docs/architecture.md ("Locks") says what waits for each lock, and how long.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, unique
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    and_,
    cast,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from hub.warehouse.database import translated_errors

_LOOK_EVERY_S = 0.1


@unique
class Lock(IntEnum):
    """A purpose; its number is the first half of the key.

    Each of the first six is taken alone, on a separate connection. A batch takes the others in this order, subject by
    subject. If two batches still block each other, PostgreSQL ends one of them, and it is merged again.
    """

    MIGRATION = 0x4855_4201
    """Creating or completing the tables of a schema."""
    SHARE = 0x4855_4202
    """Publishing records: one instance of ``hub share``, for as long as its connection lives."""
    SEAL = 0x4855_4203
    """Sealing and signing, by one worker at a time."""
    LEDGER_CHECK = 0x4855_4204
    """Checking the ledger, by one worker at a time."""
    REDRIVE = 0x4855_4205
    """Redriving dead letters, by one command at a time."""
    REPLAY = 0x4855_4206
    """Working on a replay, by one process per replay number."""
    DECISIONS = 0x4855_4207
    """Between batches of decisions (exclusive) and batches that decide records (shared)."""
    UNITS = 0x4855_4208
    """Between changes of units (exclusive) and claims that name units (shared)."""
    LINKS = 0x4855_4209
    """Changing which keys are one thing, by one batch at a time."""
    DEADLINES = 0x4855_420A
    """Between filings for interlinked procedures (exclusive) and dossiers' progress (shared)."""
    PEOPLE = 0x4855_420B
    """Between batches of people (exclusive) and of things that belong to people (shared)."""


def hold(connection: Connection, lock: Lock, *, shared: bool = False, schema: str | None = None) -> None:
    """Wait for a lock and hold it until the transaction ends; ``schema``: another schema than the connection's."""
    connection.execute(_holding(lock, shared, schema))


def held(lock: Lock, *, shared: bool = False, schema: str | None = None) -> ColumnElement[Any]:
    """Return ``hold`` as a column for any select."""
    wait = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
    return wait(*_key(lock, schema=schema))


@cache
def _holding(lock: Lock, shared: bool, schema: str | None) -> Select[Any]:
    return select(held(lock, shared=shared, schema=schema))


def try_hold(connection: Connection, lock: Lock) -> bool:
    """Hold a lock until the transaction ends; False if another connection has it."""
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(*_key(lock)))).scalar_one())


@contextmanager
def session_lock(
    engine: Engine, lock: Lock, number: int | None = None, wait_s: float = 0.0
) -> Iterator[Connection | None]:
    """Hold a lock inside this context, on a connection that the caller may use; it ends if the process dies.

    Yields None if another connection still holds it after ``wait_s`` seconds.
    """
    with translated_errors(f"taking the lock {lock.name}"):
        connection = engine.connect()
    with connection:
        deadline = time.monotonic() + wait_s
        with translated_errors(f"taking the lock {lock.name}"):
            while not (is_mine := try_hold_for_session(connection, lock, number)) and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY_S)
        try:
            yield connection if is_mine else None
        finally:
            if is_mine:
                _release(connection, lock, number)


def try_hold_for_session(connection: Connection, lock: Lock, number: int | None = None) -> bool:
    """Hold a lock for as long as the connection lives; False if another has it. Ends the transaction."""
    is_mine = bool(connection.execute(select(func.pg_try_advisory_lock(*_key(lock, number)))).scalar_one())
    connection.commit()
    return is_mine


def _release(connection: Connection, lock: Lock, number: int | None) -> None:
    """Release a session's lock; if that fails, close the connection, which ends the lock."""
    try:
        connection.rollback()
        connection.execute(select(func.pg_advisory_unlock(*_key(lock, number))))
        connection.commit()
    except DBAPIError:
        connection.invalidate()


def is_held(connection: Connection, lock: Lock, number: int | None = None) -> bool:
    """Return whether any connection holds a lock now."""
    first, second = _key(lock, number)
    unsigned = cast(second, BigInteger).op("&")(0xFFFF_FFFF)
    is_it = and_(cast(column("classid"), BigInteger) == first, cast(column("objid"), BigInteger) == unsigned)
    held_here = select(func.count()).select_from(text("pg_locks")).where(_IS_HELD_HERE, is_it)
    return bool(connection.execute(held_here).scalar_one())


_IS_HELD_HERE = text(
    "locktype = 'advisory' AND granted AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
"""Keys of two numbers (``objsubid`` 2); the lock of a connector's source, in the same database, has a key of one
number.
"""


def _key(lock: Lock, number: int | None = None, schema: str | None = None) -> tuple[ColumnElement[int], ...]:
    name = func.current_schema() if schema is None else literal(schema)
    if number is not None:
        name = func.concat(name, ":", number)
    return literal(lock.value, Integer), func.hashtext(name)
