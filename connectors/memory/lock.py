"""One connector per source at a time: a lock in the state's database, which ends with the process that holds it.

PostgreSQL, MySQL, MariaDB and SQL Server lock by session, so the very session that holds the lock stores the position.
If that session breaks, nothing is stored until the lock is taken and the position is read again. SQLite locks a
file next to the state. Other databases have no such lock; there, two connectors would publish everything twice.
"""

import errno
import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, text

from connectors.faults import translated
from hub.model.errors import ConfigError, RetryableError

_WHAT = "connector's state"
_TAKE = {
    "postgresql": text("SELECT pg_try_advisory_lock(:number)"),
    "mysql": text("SELECT GET_LOCK(:name, 0)"),
    "mariadb": text("SELECT GET_LOCK(:name, 0)"),
    "mssql": text(
        "DECLARE @got int; EXEC @got = sp_getapplock @Resource = :name, @LockMode = 'Exclusive',"
        " @LockOwner = 'Session', @LockTimeout = 0; SELECT CASE WHEN @got >= 0 THEN 1 ELSE 0 END"
    ),
}
_HOLDER = text(
    """SELECT concat(a.application_name, ', server process ', a.pid, coalesce(', from ' || host(a.client_addr), ''),
                     ', connected since ' || date_trunc('second', a.backend_start))
       FROM pg_locks l JOIN pg_stat_activity a USING (pid)
       WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND l.classid::text::bigint = :high AND l.objid::text::bigint = :low"""
)
_ROUND = 2**32
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a full or failing disk: the connector waits, as for the database's own errors of this kind."""


class AnotherConnectorError(RetryableError):
    """Another connector of the same source is running: this one waits until it has ended."""

    code = "ANOTHER_CONNECTOR"


class StateLock:
    """The lock of one source's state. Not safe to share between threads."""

    def __init__(self, engine: Engine, schema: str | None, source: str) -> None:
        self._engine = engine
        self._source = source
        digest = hashlib.blake2b(f"{schema or ''}\x1f{source}".encode(), digest_size=16).digest()
        self._number = int.from_bytes(digest[:8], "big", signed=True)
        self._name = f"hub-connector-{digest.hex()}"
        self._session: Connection | None = None
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock; does nothing if this process already holds it.

        Raises:
            AnotherConnectorError: another process holds it.
        """
        if self._is_held():
            return
        self.release()
        if self._engine.dialect.name == "sqlite":
            self._take_file()
        elif self._engine.dialect.name in _TAKE:
            with translated(_WHAT):
                self._take_session(self._engine.connect())

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction that commits only while the lock is held.

        Raises:
            RetryableError: the lock was lost: take it again, and read again what is stored.
        """
        if self._session is None:
            if self._engine.dialect.name in _TAKE:
                raise RetryableError(f"{_WHAT}: the session that held the lock of {self._source} has ended")
            with self._engine.begin() as connection:
                yield connection
            return
        try:
            with self._session.begin():
                yield self._session
        finally:
            if not self._is_held():
                self.release()

    def release(self) -> None:
        """Release the lock."""
        session, self._session = self._session, None
        if session is not None:
            # a session lock survives the return to the pool, so the connection itself is closed
            session.invalidate()
            session.close()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _is_held(self) -> bool:
        return self._file is not None or (self._session is not None and not self._session.invalidated)

    def _take_session(self, session: Connection) -> None:
        dialect = self._engine.dialect.name
        values = {"number": self._number} if dialect == "postgresql" else {"name": self._name}
        if session.execute(_TAKE[dialect], values).scalar():
            if dialect == "postgresql":
                who = f"hub connector {self._source} {socket.gethostname()}:{os.getpid()}"[:63]
                session.execute(text("SELECT set_config('application_name', :who, false)"), {"who": who})
            session.commit()
            self._session = session
            return
        holder = self._holder(session) if dialect == "postgresql" else None
        session.close()
        raise AnotherConnectorError(f"another connector of {self._source} runs{f': {holder}' if holder else ''}")

    def _holder(self, session: Connection) -> str | None:
        number = self._number % 2**64
        found: str | None = session.execute(_HOLDER, {"high": number // _ROUND, "low": number % _ROUND}).scalar()
        return found

    def _take_file(self) -> None:
        database = self._engine.url.database
        if not database or database == ":memory:" or database.startswith("file:"):
            return
        path = Path(database).with_name(f".{Path(database).name}.{self._source}.lock")
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            said = f"{_WHAT}: {path} cannot be written ({error.strerror})"
            if error.errno in _DISK:
                raise RetryableError(said) from None
            raise ConfigError([f"{said}; let [state] name a database or file that can be"]) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read(200).strip()
            file.close()
            raise AnotherConnectorError(f"another connector of {self._source} runs: {holder}") from None
        self._file = file
        since = datetime.now(UTC).isoformat(timespec="seconds")
        # only the message of a connector that waits needs it; on a full disk the lock holds without it
        with suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}, since {since}".encode(), 0)
