"""The table ``reject``: rows that could not become events, or lost a value, named by keyed hashes.

It contains no value of a row. A row that became an event without an optional value has the reason ``FIELD_DROPPED``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from connectors.base.port import Page

_ROWS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class KeptReject:
    """A row that was set aside: ``row`` is its keyed hash, ``detail`` the field that failed and what is wrong."""

    stream: str
    row: str = field(repr=False)
    reason: str
    detail: str
    at: datetime


class RejectTable:
    """The table of one source's state; every function runs in the caller's transaction."""

    def __init__(self, metadata: MetaData, source: str) -> None:
        self._source = source
        self._table = Table(
            "reject" if metadata.schema else "connector_reject",
            metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("row_hash", String(32), primary_key=True),
            Column("place", String(200), nullable=False),
            Column("reason", String(40), nullable=False),
            Column("detail", String(300), nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    def names(self, connection: Connection, stream: str, reasons: Collection[str] | None = None) -> set[str]:
        """Return the hashes of a stream's rejects, of all reasons or of some."""
        table = self._table
        wanted = select(table.c.row_hash).where(table.c.source == self._source, table.c.stream == stream)
        if reasons is not None:
            wanted = wanted.where(table.c.reason.in_(map(str, reasons)))
        return set(connection.execute(wanted).scalars())

    def all(self, connection: Connection) -> list[KeptReject]:
        """Return all rejects of the source, also those of streams that are no longer declared."""
        table = self._table
        columns = (table.c.stream, table.c.row_hash, table.c.reason, table.c.detail, table.c.at)
        wanted = select(*columns).where(table.c.source == self._source).order_by(table.c.stream, table.c.at)
        found = []
        for stream, row, reason, detail, at in connection.execute(wanted.order_by(table.c.row_hash)):
            found.append(KeptReject(stream, row, reason, detail, at if at.tzinfo else at.replace(tzinfo=UTC)))
        return found

    def replace(self, connection: Connection, stream: str, page: Page, now: datetime) -> None:
        """Replace the rejects of the page's rows; rows that now map, with all their values, have none."""
        rejects = {reject.row: reject for reject in (*page.dropped, *page.rejects)}
        gone = [*rejects, *page.resolved]
        for first in range(0, len(gone), _ROWS_PER_STATEMENT):
            some = gone[first : first + _ROWS_PER_STATEMENT]
            connection.execute(
                delete(self._table).where(
                    self._table.c.source == self._source,
                    self._table.c.stream == stream,
                    self._table.c.row_hash.in_(some),
                )
            )
        if rejects:
            common = {"source": self._source, "stream": stream, "at": now}
            rows = [
                {
                    **common,
                    "row_hash": reject.row,
                    "place": _printable(reject.place)[:200],
                    "reason": str(reject.reason),
                    "detail": reject.detail[:300],
                }
                for reject in rejects.values()
            ]
            connection.execute(insert(self._table), rows)

    def forget(self, connection: Connection, stream: str, reasons: Collection[str]) -> None:
        """Remove a stream's rejects with some reasons; writes nothing if there are none."""
        table = self._table
        of_reasons = table.c.reason.in_(map(str, reasons))
        mine = (table.c.source == self._source, table.c.stream == stream, of_reasons)
        if connection.execute(select(table.c.row_hash).where(*mine).limit(1)).first():
            connection.execute(delete(table).where(*mine))

    def clear(self, connection: Connection, streams: Collection[str]) -> None:
        """Remove all rejects of some streams, because all their rows are read again."""
        table = self._table
        connection.execute(delete(table).where(table.c.source == self._source, table.c.stream.in_(streams)))

    def counts(self, connection: Connection) -> Mapping[str, dict[str, int]]:
        """Return the number of rejects by stream and reason."""
        table = self._table
        found: dict[str, dict[str, int]] = {}
        for stream, reason, count in connection.execute(
            select(table.c.stream, table.c.reason, func.count().cast(Integer))
            .where(table.c.source == self._source)
            .group_by(table.c.stream, table.c.reason)
            .order_by(table.c.stream, table.c.reason)
        ):
            found.setdefault(stream, {})[reason] = count
        return found


def _printable(text: str) -> str:
    """Return text that every database accepts and a terminal shows unchanged."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()
