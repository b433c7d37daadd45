"""The table ``said``: what was sent last of each thing that may come again under the same version.

It is next to the checkpoints, so that one transaction stores both. Things and contents are keyed hashes: the table
holds nothing personal.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, MetaData, String, Table, delete, insert, select

from connectors.base.port import Said

_ROWS_PER_STATEMENT = 500
_PRUNE_EVERY = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SaidTable:
    """The table of one source's state; every function runs in the caller's transaction."""

    def __init__(self, metadata: MetaData, source: str) -> None:
        self._source = source
        self._pruned_at = _EPOCH
        self._table = Table(
            "said" if metadata.schema else "connector_said",
            metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("thing", String(32), primary_key=True),
            Column("own", BigInteger, nullable=False),
            Column("sent", BigInteger, nullable=False),
            Column("content", String(32), nullable=False),
            Column("at_us", BigInteger),
            Column("until_us", BigInteger, nullable=False, index=True),
        )

    def look_up(self, connection: Connection, stream: str, things: Collection[str]) -> dict[str, Said]:
        """Return what is remembered of some things."""
        table, found, wanted = self._table, {}, list(things)
        columns = (table.c.thing, table.c.own, table.c.sent, table.c.content, table.c.at_us, table.c.until_us)
        for first in range(0, len(wanted), _ROWS_PER_STATEMENT):
            some = table.c.thing.in_(wanted[first : first + _ROWS_PER_STATEMENT])
            for thing, *said in connection.execute(select(*columns).where(*self._mine(stream), some)):
                found[str(thing)] = Said(*said)
        return found

    def keep(self, connection: Connection, stream: str, said: Mapping[str, Said], now: datetime) -> None:
        """Remember what a page said, in place of what was remembered before; forget what is old."""
        things = list(said)
        for first in range(0, len(things), _ROWS_PER_STATEMENT):
            some = things[first : first + _ROWS_PER_STATEMENT]
            connection.execute(delete(self._table).where(*self._mine(stream), self._table.c.thing.in_(some)))
        if said:
            common = {"source": self._source, "stream": stream}
            rows = [
                {
                    **common,
                    "thing": thing,
                    "own": one.own,
                    "sent": one.sent,
                    "content": one.content,
                    "at_us": one.at_us,
                    "until_us": one.until_us,
                }
                for thing, one in said.items()
            ]
            connection.execute(insert(self._table), rows)
        if now - self._pruned_at > _PRUNE_EVERY:
            self._pruned_at = now
            is_old = self._table.c.until_us < (now - _EPOCH) // _MICROSECOND
            connection.execute(delete(self._table).where(self._table.c.source == self._source, is_old))

    def clear(self, connection: Connection, streams: Collection[str]) -> None:
        """Forget everything that was sent of some streams."""
        table = self._table
        connection.execute(delete(table).where(table.c.source == self._source, table.c.stream.in_(streams)))

    def _mine(self, stream: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return self._table.c.source == self._source, self._table.c.stream == stream
