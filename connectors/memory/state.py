"""Where a connector stores its positions and rejects: a schema in the source's own database, or a separate database.

Tables: ``checkpoint`` (one row per stream), ``reject`` (one row per rejected row, deleted when the row became an
event), ``said`` (``connectors.memory.said``), ``mapping`` and ``reading`` (``connectors.memory.readings``) and ``wait``
(what a stream waits for now). In a database without schemas their names begin with ``connector_``. A checkpoint may
contain the key of the last row read, so it needs the same protection as the source's data. A process that reads a
position to continue from it must hold the source's lock (``connectors.memory.lock``).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, DateTime, Engine, String, Table, Text, delete, insert, select

from connectors.base.port import Page, Position, Said
from connectors.base.reasons import RejectReason
from connectors.memory.kept_waits import WaitTable
from connectors.memory.place import StatePlace
from connectors.memory.positions import position_text, stored_position
from connectors.memory.readings import FullReading, ReadingTables
from connectors.memory.rejects import KeptReject, RejectTable
from connectors.memory.said import SaidTable


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
        self._source = source
        self._place = StatePlace(engine, schema, source, "checkpoint")
        metadata = self._place.metadata
        self._checkpoint = Table(
            "checkpoint" if metadata.schema else "connector_checkpoint",
            metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("position", Text, nullable=False),
            Column("published", BigInteger, nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )
        self._reject = RejectTable(metadata, source)
        self._readings = ReadingTables(metadata, source)
        self._said = SaidTable(metadata, source)
        self._wait = WaitTable(metadata, source)

    @property
    def place(self) -> StatePlace:
        """Where the tables are."""
        return self._place

    @property
    def source(self) -> str:
        """Code of the source."""
        return self._source

    def take(self) -> None:
        """Take the source's lock for this process; see ``StatePlace.take``."""
        self._place.take()

    def require_writable(self) -> None:
        """Check that the state can be written; see ``StatePlace.require_writable``."""
        row = {"source": "", "stream": "", "position": "", "published": 0, "at": datetime.now(UTC)}
        self._place.require_writable(lambda connection: connection.execute(insert(self._checkpoint), row))

    def load(self, stream: str) -> tuple[Stored | None, set[str]]:
        """Return what is stored of a stream, and the hashes of its rejected rows; takes the source's lock.

        Raises:
            AnotherConnectorError: another connector of this source is running.
        """
        self.take()
        table = self._checkpoint
        with self._place.connected() as connection:
            found = connection.execute(
                select(table.c.position, table.c.published).where(
                    table.c.source == self._source, table.c.stream == stream
                )
            ).one_or_none()
            rejected = self._reject.names(connection, stream)
            return (Stored(self._position(found[0], stream), int(found[1])) if found else None), rejected

    def position(self, stream: str) -> Position | None:
        """Return a stream's stored position, None if there is none; creates no table."""
        table = self._checkpoint
        with self._place.looked_at(table.name) as connection:
            if connection is None:
                return None
            found = connection.execute(
                select(table.c.position).where(table.c.source == self._source, table.c.stream == stream)
            ).scalar_one_or_none()
        return None if found is None else self._position(found, stream)

    def _position(self, text: str, stream: str) -> Position:
        return stored_position(text, f"{self._place.what}, stream {stream}")

    def remember(self, stream: str, said: Mapping[str, Said]) -> None:
        """Remember what a program other than the connector has sent, so that the connector's events come after it."""
        with self._place.begun() as connection:
            self._said.keep(connection, stream, said, datetime.now(UTC))

    def save(self, stream: str, page: Page) -> None:
        """Store a page's position and rejects, and count its events, in one transaction.

        Raises:
            RetryableError: the source's lock was lost: load again what is stored.
        """
        table, now = self._checkpoint, datetime.now(UTC)
        mine = (table.c.source == self._source, table.c.stream == stream)
        with self._place.transaction() as connection:
            before = connection.execute(select(table.c.published).where(*mine)).scalar() or 0
            connection.execute(delete(table).where(*mine))
            values = {
                "source": self._source,
                "stream": stream,
                "position": position_text(page.position),
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
        self._place.make()
        with self._place.connected() as connection:
            return self._said.look_up(connection, stream, things)

    def forget_rejects(self, stream: str, reasons: Collection[str]) -> None:
        """Remove a stream's rejects with some reasons, because those reasons no longer hold for the table."""
        with self._place.transaction() as connection:
            self._reject.forget(connection, stream, reasons)

    def rejected_for(self, stream: str, reasons: Collection[str]) -> frozenset[str]:
        """Return the hashes of a stream's rejects with some reasons."""
        with self._place.connected() as connection:
            return frozenset(self._reject.names(connection, stream, reasons))

    def rejects(self) -> list[KeptReject]:
        """Return every reject of the source, by stream; creates no table."""
        with self._place.looked_at(self._reject.name) as connection:
            return [] if connection is None else self._reject.all(connection)

    def mapping(self, stream: str) -> str | None:
        """Return the digest of the mapping by which a stream's rejects were last read."""
        with self._place.connected() as connection:
            return self._readings.digest(connection, stream)

    def keep_mapping(self, stream: str, digest: str) -> None:
        """Store the digest of a stream's mapping; its rejects, if any, were read by this mapping."""
        with self._place.transaction() as connection:
            self._readings.keep_digest(connection, stream, digest)

    def full_reading(self) -> FullReading | None:
        """Return the last full reading that was asked for; creates no table."""
        with self._place.looked_at(self._readings.name) as connection:
            return None if connection is None else self._readings.last(connection)

    def read_again(self, streams: Collection[str], declared_epoch: int, reason: str) -> FullReading:
        """Make the connector read some streams again from the beginning under a new epoch; one transaction.

        Raises:
            AnotherConnectorError: another connector of this source is running.
        """
        self.take()
        with self._place.transaction() as connection:
            last = self._readings.last(connection)
            epoch = max(declared_epoch, last.epoch if last else 0) + 1
            reading = FullReading(epoch, reason, datetime.now(UTC))
            self._readings.add(connection, reading)
            self._reject.clear(connection, streams)
            self._said.clear(connection, streams)
            self._wait.clear(connection, streams)
            table = self._checkpoint
            mine = table.c.source == self._source
            connection.execute(delete(table).where(mine, table.c.stream.in_(streams)))
        return reading

    def wait(self, stream: str, waits_for: str | None, since: datetime) -> None:
        """Store what a stream waits for, so that ``summary`` returns it; None: it no longer waits."""
        with self._place.transaction() as connection:
            self._wait.keep(connection, stream, waits_for, since)

    def close(self) -> None:
        """Release the lock and close the connections, so that another connector of this source may run."""
        self._place.close()

    def summary(self) -> tuple[StreamState, ...]:
        """Return every stream of the source that has a checkpoint, by name; creates nothing if there was no run."""
        table = self._checkpoint
        with self._place.looked_at(table.name) as connection:
            if connection is None:
                return ()
            waits = self._wait.all(connection, self._place.tables(connection))
            rejects = self._reject.counts(connection)
            rows = connection.execute(select(table).where(table.c.source == self._source).order_by(table.c.stream))
            return tuple(
                StreamState(
                    row.stream,
                    self._position(row.position, row.stream),
                    row.published,
                    own := rejects.get(row.stream, {}),
                    own.pop(RejectReason.FIELD_DROPPED, 0),
                    row.at,
                    *waits.get(row.stream, (None, None)),
                )
                for row in rows
            )
