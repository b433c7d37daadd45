"""Where a connector keeps its positions and rejects: a schema in the source's own database, or a database of its own.

Tables ``checkpoint`` (one row per stream), ``reject`` (one row per rejected row, gone once the row became an event) and
``said`` (``connectors.said``); where the database has no schemas their names begin with ``connector_``. A checkpoint
may hold the key of the last row read, so it belongs where the source's data may be.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.schema import CreateSchema

from connectors.faults import translated
from connectors.port import Page, Position, Said
from connectors.said import SaidTable

_WHAT = "connector's state"
_ROWS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of a stream. Counts are of all runs: events published, repeats included, and rows rejected now."""

    position: Position
    published: int


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as ``hub connect status`` shows it."""

    stream: str
    position: Position
    published: int
    rejects: dict[str, int]
    at: datetime


class StateStore:
    """Positions and rejects of one source. The tables are made on first use."""

    def __init__(self, engine: Engine, schema: str, source: str) -> None:
        self._engine = engine
        self._source = source
        self._schema = schema if engine.dialect.name == "postgresql" else None
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
        self._reject = Table(
            "reject" if self._schema else "connector_reject",
            self._metadata,
            Column("source", String(200), primary_key=True),
            Column("stream", String(200), primary_key=True),
            Column("row_hash", String(32), primary_key=True),
            Column("place", String(200), nullable=False),
            Column("reason", String(40), nullable=False),
            Column("detail", String(300), nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )
        self._said = SaidTable(self._metadata, source)
        self._is_made = False

    def make(self) -> None:
        """Create what is missing; nothing is written when all is there."""
        if self._is_made:
            return
        with translated(_WHAT), self._engine.begin() as connection:
            if self._schema and not connection.dialect.has_schema(connection, self._schema):
                connection.execute(CreateSchema(self._schema, if_not_exists=True))
            self._metadata.create_all(connection)
        self._is_made = True

    def load(self, stream: str) -> tuple[Stored | None, set[str]]:
        """Return what is stored of a stream, and the hashes of its rejected rows."""
        self.make()
        table, reject = self._checkpoint, self._reject
        with translated(_WHAT), self._engine.connect() as connection:
            found = connection.execute(
                select(table.c.position, table.c.published).where(
                    table.c.source == self._source, table.c.stream == stream
                )
            ).one_or_none()
            rejected = connection.execute(
                select(reject.c.row_hash).where(reject.c.source == self._source, reject.c.stream == stream)
            ).scalars()
            return (Stored(json.loads(found[0]), int(found[1])) if found else None), set(rejected)

    def save(self, stream: str, page: Page) -> None:
        """Store a page's position and rejects, and count its events, in one transaction."""
        table, now = self._checkpoint, datetime.now(UTC)
        mine = (table.c.source == self._source, table.c.stream == stream)
        with translated(_WHAT), self._engine.begin() as connection:
            before = connection.execute(select(table.c.published).where(*mine)).scalar() or 0
            connection.execute(delete(table).where(*mine))
            values = {
                "source": self._source,
                "stream": stream,
                "position": json.dumps(dict(page.position), ensure_ascii=False),
                "published": before + len(page.records),
                "at": now,
            }
            connection.execute(insert(table), values)
            self._save_rejects(connection, stream, page, now)
            self._said.keep(connection, stream, page.said, now)

    def said(self, stream: str, things: Collection[str]) -> dict[str, Said]:
        """Return what was sent last of some things of a stream, as far as it is remembered."""
        if not things:
            return {}
        self.make()
        with translated(_WHAT), self._engine.connect() as connection:
            return self._said.look_up(connection, stream, things)

    def _save_rejects(self, connection: Connection, stream: str, page: Page, now: datetime) -> None:
        """Replace the rejects of the page's rows; rows that map again have none."""
        rejects = {reject.row: reject for reject in page.rejects}
        gone = [*rejects, *page.resolved]
        for first in range(0, len(gone), _ROWS_PER_STATEMENT):
            some = gone[first : first + _ROWS_PER_STATEMENT]
            connection.execute(
                delete(self._reject).where(
                    self._reject.c.source == self._source,
                    self._reject.c.stream == stream,
                    self._reject.c.row_hash.in_(some),
                )
            )
        if rejects:
            common = {"source": self._source, "stream": stream, "at": now}
            connection.execute(
                insert(self._reject),
                [
                    {
                        **common,
                        "row_hash": reject.row,
                        "place": reject.place[:200],
                        "reason": str(reject.reason),
                        "detail": reject.detail[:300],
                    }
                    for reject in rejects.values()
                ],
            )

    def summary(self) -> tuple[StreamState, ...]:
        """Return every stream of the source that has a checkpoint, by name."""
        self.make()
        table, reject = self._checkpoint, self._reject
        with translated(_WHAT), self._engine.connect() as connection:
            reasons = connection.execute(
                select(reject.c.stream, reject.c.reason, func.count().cast(Integer))
                .where(reject.c.source == self._source)
                .group_by(reject.c.stream, reject.c.reason)
                .order_by(reject.c.stream, reject.c.reason)
            ).all()
            rows = connection.execute(select(table).where(table.c.source == self._source).order_by(table.c.stream))
            return tuple(
                StreamState(
                    stream=row.stream,
                    position=json.loads(row.position),
                    published=row.published,
                    rejects={reason: count for stream, reason, count in reasons if stream == row.stream},
                    at=row.at,
                )
                for row in rows
            )
