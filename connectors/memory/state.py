"""Where a connector stores its positions and rejects: a schema in the source's own database, or a separate database.

Tables: ``checkpoint`` (one row per stream), ``reject`` (one row per rejected row, deleted when the row became an
event), ``said`` (``connectors.memory.said``), ``mapping`` and ``reading`` (``connectors.memory.readings``) and ``wait``
(what a stream waits for now). In a database without schemas their names begin with ``connector_``. A checkpoint may
contain the key of the last row read, so it needs the same protection as the source's data. A process that reads a
position to continue from it must hold the source's lock (``connectors.memory.lock``).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    inspect,
    select,
)
from sqlalchemy.schema import CreateSchema

from connectors.base.port import Page, Position, Said
from connectors.base.reasons import RejectReason
from connectors.faults import translated
from connectors.memory.lock import StateLock
from connectors.memory.state_file import require_writable_file
from connectors.memory.readings import FullReading, ReadingTables
from connectors.memory.rejects import KeptReject, RejectTable
from connectors.memory.said import SaidTable
from hub.model.errors import ConfigError

_WHAT = "connector's state"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a stream. Counts are over all runs: events published (repeats included), rows rejected now."""

    position: Position
    published: int


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as ``hub connect status`` shows it.

    Fields:
        dropped: rows that were published without an optional value.
        waits_for: the last wait that its run reported.
    """

    stream: str
    position: Position
    published: int
    rejects: dict[str, int]
    dropped: int
    at: datetime
    waits_for: str | None = None
    waits_since: datetime | None = None


class StateStore:
    """Positions and rejects of one source. The tables are created at first use."""

    def __init__(self, engine: Engine, schema: str, source: str) -> None:
        self._engine = engine
        self._source = source
        self._schema = schema if engine.dialect.name == "postgresql" else None
        self._lock = StateLock(engine, self._schema, source)
        self._metadata = MetaData(schema=self._schema)
        self._checkpoint = Table(
            "checkpoint" if self._schema else "connector_checkpoint",
            self._metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("position", Text, nullable=False),
            Column("published", BigInteger, nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )
        self._reject = RejectTable(self._metadata, source)
        self._readings = ReadingTables(self._metadata, source)
        self._said = SaidTable(self._metadata, source)
        self._wait = Table(
            "wait" if self._schema else "connector_wait",
            self._metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("waits_for", Text, nullable=False),
            Column("since", DateTime(timezone=True), nullable=False),
        )
        self._is_made = False

    @property
    def engine(self) -> Engine:
        """Where the tables are."""
        return self._engine

    @property
    def schema(self) -> str | None:
        """Their schema; None if the database has no schemas."""
        return self._schema

    @property
    def source(self) -> str:
        """Code of the source."""
        return self._source

    def make(self) -> None:
        """Create what is missing; writes nothing if everything exists."""
        if self._is_made:
            return
        with self._told_what_is_needed(), translated(_WHAT), self._lock.transaction() as connection:
            self._create(connection)
        self._is_made = True

    def _create(self, connection: Connection) -> None:
        if self._schema and not connection.dialect.has_schema(connection, self._schema):
            connection.execute(CreateSchema(self._schema, if_not_exists=True))
        self._metadata.create_all(connection)

    def require_writable(self) -> None:
        """Find out whether the tables can be made and written, and leave nothing behind.

        PostgreSQL and SQLite are asked; of another database it is known when a connector runs.

        Raises:
            ConfigError: they cannot.
            RetryableError: the database is away or busy.
        """
        with self._told_what_is_needed(), translated(_WHAT):
            if self._engine.dialect.name == "postgresql":
                with self._engine.connect() as connection:
                    self._create(connection)
                    moment, nothing = datetime.now(UTC), ""
                    row = {"source": nothing, "stream": nothing, "position": nothing, "published": 0, "at": moment}
                    connection.execute(insert(self._checkpoint), row)
                    connection.rollback()
            elif self._engine.dialect.name == "sqlite":
                require_writable_file(self._engine, _WHAT)

    @contextmanager
    def _told_what_is_needed(self) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            schema = f"CREATE SCHEMA {self._schema} AUTHORIZATION the reader's role; or " if self._schema else ""
            raise ConfigError(
                [*error.problems, f"{_WHAT} must create tables: {schema}name another database in [state]"]
            ) from None

    def take(self) -> None:
        """Take the source's lock for this process, and create missing tables.

        Raises:
            AnotherConnectorError: another connector of this source is running.
        """
        self._lock.take()
        self.make()

    def load(self, stream: str) -> tuple[Stored | None, set[str]]:
        """Return what is stored of a stream, and the hashes of its rejected rows; takes the source's lock.

        Raises:
            AnotherConnectorError: another connector of this source is running.
        """
        self.take()
        table = self._checkpoint
        with translated(_WHAT), self._engine.connect() as connection:
            found = connection.execute(
                select(table.c.position, table.c.published).where(
                    table.c.source == self._source, table.c.stream == stream
                )
            ).one_or_none()
            rejected = self._reject.names(connection, stream)
            return (Stored(json.loads(found[0]), int(found[1])) if found else None), rejected

    def position(self, stream: str) -> Position | None:
        """Return a stream's stored position, None if there is none; creates no table."""
        table = self._checkpoint
        with translated(_WHAT), self._engine.connect() as connection:
            if not connection.dialect.has_table(connection, table.name, schema=self._schema):
                return None
            found = connection.execute(
                select(table.c.position).where(table.c.source == self._source, table.c.stream == stream)
            ).scalar_one_or_none()
        return None if found is None else dict(json.loads(found))

    def remember(self, stream: str, said: Mapping[str, Said]) -> None:
        """Remember what a program other than the connector has sent, so that the connector's events come after it."""
        with translated(_WHAT), self._engine.begin() as connection:
            self._said.keep(connection, stream, said, datetime.now(UTC))

    def save(self, stream: str, page: Page) -> None:
        """Store a page's position and rejects, and count its events, in one transaction.

        Raises:
            RetryableError: the source's lock was lost: load again what is stored.
        """
        table, now = self._checkpoint, datetime.now(UTC)
        mine = (table.c.source == self._source, table.c.stream == stream)
        with translated(_WHAT), self._lock.transaction() as connection:
            before = connection.execute(select(table.c.published).where(*mine)).scalar() or 0
            connection.execute(delete(table).where(*mine))
            values = {
                "source": self._source,
                "stream": stream,
                "position": json.dumps(dict(page.position)),
                "published": before + len(page.records),
                "at": now,
            }
            connection.execute(insert(table), values)
            self._reject.replace(connection, stream, page, now)
            if page.mapping is not None:
                self._readings.keep_digest(connection, stream, page.mapping)
            self._said.keep(connection, stream, page.said, now)

    def said(self, stream: str, things: Collection[str]) -> dict[str, Said]:
        """Return what was sent last of some things of a stream, as far as it is remembered."""
        if not things:
            return {}
        self.make()
        with translated(_WHAT), self._engine.connect() as connection:
            return self._said.look_up(connection, stream, things)

    def forget_rejects(self, stream: str, reasons: Collection[str]) -> None:
        """Remove a stream's rejects with some reasons, because those reasons no longer hold for the table."""
        with translated(_WHAT), self._lock.transaction() as connection:
            self._reject.forget(connection, stream, reasons)

    def rejects(self) -> list[KeptReject]:
        """Return every reject of the source, by stream; creates no table."""
        with translated(_WHAT), self._engine.connect() as connection:
            if not connection.dialect.has_table(connection, self._reject.name, schema=self._schema):
                return []
            return self._reject.all(connection)

    def mapping(self, stream: str) -> str | None:
        """Return the digest of the mapping by which a stream's rejects were last read."""
        with translated(_WHAT), self._engine.connect() as connection:
            return self._readings.digest(connection, stream)

    def keep_mapping(self, stream: str, digest: str) -> None:
        """Store the digest of a stream's mapping; its rejects, if any, were read by this mapping."""
        with translated(_WHAT), self._lock.transaction() as connection:
            self._readings.keep_digest(connection, stream, digest)

    def full_reading(self) -> FullReading | None:
        """Return the last full reading that was asked for; creates no table."""
        with translated(_WHAT), self._engine.connect() as connection:
            return self._readings.last(connection, self._there(connection))

    def read_again(self, streams: Collection[str], declared_epoch: int, reason: str) -> FullReading:
        """Make the connector read some streams again from the beginning under a new epoch; one transaction.

        Raises:
            AnotherConnectorError: another connector of this source is running.
        """
        self.take()
        with translated(_WHAT), self._lock.transaction() as connection:
            last = self._readings.last(connection)
            epoch = max(declared_epoch, last.epoch if last else 0) + 1
            reading = FullReading(epoch, reason, datetime.now(UTC))
            self._readings.add(connection, reading)
            self._reject.clear(connection, streams)
            self._said.clear(connection, streams)
            for table in (self._checkpoint, self._wait):
                mine = table.c.source == self._source
                connection.execute(delete(table).where(mine, table.c.stream.in_(streams)))
        return reading

    def wait(self, stream: str, waits_for: str | None, since: datetime) -> None:
        """Store what a stream waits for, so that ``summary`` returns it; None: it no longer waits."""
        table = self._wait
        with translated(_WHAT), self._lock.transaction() as connection:
            connection.execute(delete(table).where(table.c.source == self._source, table.c.stream == stream))
            if waits_for is not None:
                values = {"source": self._source, "stream": stream, "waits_for": waits_for, "since": since}
                connection.execute(insert(table), values)

    def close(self) -> None:
        """Release the lock and close the connections, so that another connector of this source may run."""
        self._lock.release()
        self._engine.dispose()

    def summary(self) -> tuple[StreamState, ...]:
        """Return every stream of the source that has a checkpoint, by name; creates nothing if there was no run."""
        table = self._checkpoint
        with translated(_WHAT), self._engine.connect() as connection:
            there = self._there(connection)
            if table.name not in there:
                return ()
            waits = self._waits(connection) if self._wait.name in there else {}
            rejects = self._reject.counts(connection)
            rows = connection.execute(select(table).where(table.c.source == self._source).order_by(table.c.stream))
            return tuple(
                StreamState(
                    row.stream,
                    json.loads(row.position),
                    row.published,
                    own := rejects.get(row.stream, {}),
                    own.pop(RejectReason.FIELD_DROPPED, 0),
                    row.at,
                    *waits.get(row.stream, (None, None)),
                )
                for row in rows
            )

    def _waits(self, connection: Connection) -> dict[str, tuple[str, datetime]]:
        table = self._wait
        rows = connection.execute(select(table).where(table.c.source == self._source))
        return {row.stream: (row.waits_for, row.since) for row in rows}

    def _there(self, connection: Connection) -> set[str]:
        """Return the names of the tables that exist in the state's schema."""
        return set(inspect(connection).get_table_names(schema=self._schema))
