"""The place of a connector's state: its database, its lock, its tables.

A damaged state is an error that names it. It is never taken for an empty state.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, MetaData, inspect
from sqlalchemy.schema import CreateSchema

from connectors.faults import SourceRowError, translated
from connectors.memory.lock import StateLock
from connectors.memory.positions import damaged
from connectors.memory.state_file import StateFile
from hub.model.errors import ConfigError


class StatePlace:
    """The place of one source's state. Tables are declared on ``metadata`` before the first use.

    Fields:
        engine: of the database.
        schema: of the tables; None where the database has none.
        metadata: of all tables.
        what: names the state in messages.
    """

    def __init__(self, engine: Engine, schema: str, source: str, first_table: str) -> None:
        """Take the database; ``first_table``: a table that exists if any does, by its name without a prefix."""
        self.engine = engine
        self.schema = schema if engine.dialect.name == "postgresql" else None
        self.metadata = MetaData(schema=self.schema)
        self._first_table = first_table if self.schema else f"connector_{first_table}"
        self._lock = StateLock(engine, self.schema, source)
        self._file = StateFile(engine)
        self.what = self._file.what
        self._is_made = self._is_whole = False

    def make(self) -> None:
        """Create what is missing; writes nothing if everything exists."""
        if self._is_made:
            return
        with self._told_what_is_needed(), self.transaction() as connection:
            self.create(connection, self.metadata)
        self._file.note_made()
        self._is_made = True

    def take(self) -> None:
        """Take the source's lock for this process, and create missing tables.

        Raises:
            AnotherConnectorError: another connector of this source is running.
            ConfigError: the state is damaged.
        """
        self._lock.take()
        with self.reached():
            self._require_whole()
        self.make()

    def _require_whole(self) -> None:
        if not self._is_whole:
            self._file.require_whole(self._first_table)
            self._is_whole = True

    def close(self) -> None:
        """Release the lock and close the connections, so that another connector of this source may run."""
        self._lock.release()
        self.engine.dispose()

    def require_writable(self, write: Callable[[Connection], object]) -> None:
        """Check that the tables can be created and written; leaves nothing behind.

        Checks PostgreSQL and SQLite only. ``write`` writes one row.

        Raises:
            ConfigError: they cannot.
            RetryableError: the database is away or busy.
        """
        with self._told_what_is_needed(), self.reached():
            if self.engine.dialect.name == "postgresql":
                with self.engine.connect() as connection:
                    self.create(connection, self.metadata)
                    write(connection)
                    connection.rollback()
            self._file.require_writable()

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raise the database's errors as the hub's; a value that cannot be read means that the state is damaged."""
        try:
            with translated(self.what):
                yield
        except (SourceRowError, UnicodeDecodeError):
            # a damaged name stands in an error's message, which the driver then cannot decode
            raise damaged(self.what, "a value in it cannot be read") from None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction that is committed only while this process holds the source's lock."""
        with self.reached(), self._lock.transaction() as connection:
            yield connection

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Open a connection for reading."""
        with self.reached(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def begun(self) -> Iterator[Connection]:
        """Begin a transaction, whichever process holds the source's lock."""
        with self.reached(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def looked_at(self, table: str) -> Iterator[Connection | None]:
        """Open a connection for looking at a table; None if the table does not exist. Creates nothing.

        Raises:
            ConfigError: the state is damaged.
        """
        if self._file.is_absent:
            yield None
            return
        with self.reached():
            self._require_whole()
            with self.engine.connect() as connection:
                is_there = connection.dialect.has_table(connection, table, schema=self.schema)
                yield connection if is_there else None

    def tables(self, connection: Connection) -> set[str]:
        """Return the names of the tables that exist."""
        return set(inspect(connection).get_table_names(schema=self.schema))

    def create(self, connection: Connection, metadata: MetaData) -> None:
        """Create missing tables, and their schema."""
        if self.schema and not connection.dialect.has_schema(connection, self.schema):
            connection.execute(CreateSchema(self.schema, if_not_exists=True))
        metadata.create_all(connection)

    @contextmanager
    def _told_what_is_needed(self) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            schema = f"CREATE SCHEMA {self.schema} AUTHORIZATION the reader's role; or " if self.schema else ""
            raise ConfigError(
                [*error.problems, f"{self.what} must create tables: {schema}name another database in [state]"]
            ) from None
