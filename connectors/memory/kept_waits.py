"""The table ``wait``: what each stream of a source waits for now, and since when."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Column, Connection, DateTime, MetaData, String, Table, Text, delete, insert, select


class WaitTable:
    """The table of one source's state; every function runs in the caller's transaction."""

    def __init__(self, metadata: MetaData, source: str) -> None:
        self._source = source
        self._table = Table(
            "wait" if metadata.schema else "connector_wait",
            metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("waits_for", Text, nullable=False),
            Column("since", DateTime(timezone=True), nullable=False),
        )

    def keep(self, connection: Connection, stream: str, waits_for: str | None, since: datetime) -> None:
        """Store what a stream waits for; None: it no longer waits."""
        self.clear(connection, [stream])
        if waits_for is not None:
            values = {"source": self._source, "stream": stream, "waits_for": waits_for, "since": since}
            connection.execute(insert(self._table), values)

    def clear(self, connection: Connection, streams: Collection[str]) -> None:
        """Delete the waits of some streams."""
        table = self._table
        connection.execute(delete(table).where(table.c.source == self._source, table.c.stream.in_(streams)))

    def all(self, connection: Connection, there: Collection[str]) -> dict[str, tuple[str, datetime]]:
        """Return what is waited for and since when, by stream; ``there``: the tables that exist."""
        table = self._table
        if table.name not in there:
            return {}
        rows = connection.execute(select(table).where(table.c.source == self._source))
        return {row.stream: (row.waits_for, row.since) for row in rows}
