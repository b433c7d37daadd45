"""Tables ``mapping`` and ``reading``: the mapping that read a stream last, and the full readings that were asked for.

They are next to the checkpoints. A digest names a mapping: everything that decides what a row becomes. If the digest
differs from the stored one, the rows that were rejects are read again. A full reading gives the source a higher epoch,
so that what is read again counts as newer than everything the source said before.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, String, Table, Text, delete, insert, select

from connectors.declared.declaration import Declaration, Stream
from hub.codec.catalogue import SchemaVersion


@dataclass(frozen=True, slots=True)
class FullReading:
    """A full reading that was asked for: the epoch of its events, why, and when it began."""

    epoch: int
    reason: str
    at: datetime


class ReadingTables:
    """The tables of one source's state; every function runs in the caller's transaction."""

    def __init__(self, metadata: MetaData, source: str) -> None:
        self._source = source
        prefix = "" if metadata.schema else "connector_"
        self._mapping = Table(
            f"{prefix}mapping",
            metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("digest", String(32), nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )
        self._reading = Table(
            f"{prefix}reading",
            metadata,
            Column("source", String(200), primary_key=True),
            Column("epoch", Integer, primary_key=True),
            Column("reason", Text, nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )

    def digest(self, connection: Connection, stream: str) -> str | None:
        """Return the digest of the mapping by which a stream's rejects were last read; None if they never were."""
        table = self._mapping
        found: str | None = connection.execute(
            select(table.c.digest).where(table.c.source == self._source, table.c.stream == stream)
        ).scalar_one_or_none()
        return found

    def keep_digest(self, connection: Connection, stream: str, digest: str) -> None:
        """Store a digest; it replaces the one before."""
        table = self._mapping
        connection.execute(delete(table).where(table.c.source == self._source, table.c.stream == stream))
        values = {"source": self._source, "stream": stream, "digest": digest, "at": datetime.now(UTC)}
        connection.execute(insert(table), values)

    @property
    def name(self) -> str:
        """Name of the table of full readings."""
        return self._reading.name

    def last(self, connection: Connection) -> FullReading | None:
        """Return the last full reading."""
        table = self._reading
        row = connection.execute(
            select(table).where(table.c.source == self._source).order_by(table.c.epoch.desc()).limit(1)
        ).one_or_none()
        if row is None:
            return None
        at = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
        return FullReading(row.epoch, row.reason, at)

    def add(self, connection: Connection, reading: FullReading) -> None:
        """Store a full reading."""
        values = {"source": self._source, "epoch": reading.epoch, "reason": reading.reason, "at": reading.at}
        connection.execute(insert(self._reading), values)


def with_epoch(declaration: Declaration, last: FullReading | None) -> Declaration:
    """Return the declaration with the epoch of its events: the declared one, or the higher one of a full reading."""
    return declaration if last is None else replace(declaration, epoch=max(declaration.epoch, last.epoch))


def mapping_digest(declaration: Declaration, stream: Stream, version: SchemaVersion) -> str:
    """Return the digest of everything that decides what a row of the stream becomes; it contains nothing of a row."""
    said = (
        stream,
        declaration.agency,
        declaration.unit_scheme,
        declaration.time_zone,
        declaration.ahead_s,
        version.subject,
        version.schema_id,
    )
    return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()
