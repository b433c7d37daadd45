"""A source's side of a comparison: all rows of the streams of one subject, as the events that they would be now.

Rows go through the same table, mapper and encoder as in the connector, so both give the same event for a row. On
PostgreSQL one reading is one snapshot of the database: a row whose key changes meanwhile is read once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, text

from connectors.access.ahead import read_ahead
from connectors.access.reading import PHASE, SNAPSHOT, Rows, all_pages
from connectors.access.source import SourceTable
from connectors.access.ways import looked_at, reading_of
from connectors.base.port import JsonValue, Position, Record, Said
from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper
from connectors.conversion.order import FOR_EVER_US, OrderMemory
from connectors.conversion.rows import record_of_row
from connectors.declared.declaration import Kind, Stream
from connectors.faults import SourceRowError, translated
from connectors.streams.context import Context, declaration_in_force
from connectors.tables.streaming import streamed
from connectors.tables.unreadable import UnreadableRow
from hub.codec.encode import Encoder
from hub.model.compared import SourceRows, Unmapped
from hub.model.errors import ConfigError, PoisonError
from hub.topology import MAX_RECORD_BYTES

ROWS_AT_ONCE = 20_000


class ComparedStreams:
    """The streams of a source that feed one subject; see ``hub.model.compared.SourceStreams``."""

    def __init__(self, context: Context, subject: str) -> None:
        """Take the table streams of a subject; this is the first contact with the source.

        Raises:
            ConfigError: no stream feeds the subject, or only outboxes do; or a table is not as declared.
        """
        streams = [stream for stream in context.declaration.streams if stream.subject == subject]
        tables = [stream for stream in streams if stream.kind is Kind.TABLE]
        if not tables:
            raise ConfigError([f"{subject}: {cannot_compare(streams)}"])
        self.source = context.declaration.code
        self.subject = subject
        self.says_all = len(tables) == len(streams)
        self._streams = [_ComparedStream(context, stream) for stream in tables]

    @property
    def names(self) -> Sequence[str]:
        """Names of the streams."""
        return [stream.name for stream in self._streams]

    def begin(self) -> None:
        """Note how far the connector has read each stream."""
        for stream in self._streams:
            stream.begin()

    def rows(self) -> Iterator[SourceRows]:
        """Read everything that the streams hold now."""
        for stream in self._streams:
            yield from stream.rows()

    def unread(self) -> Iterator[SourceRows]:
        """Read the rows that may have been written since ``begin``."""
        for stream in self._streams:
            yield from stream.unread()

    def unknown(self) -> Sequence[str]:
        """Return the streams for which it is unknown how far the connector has read."""
        return [stream.name for stream in self._streams if not stream.is_position_known]


def compared_subjects(streams: Sequence[Stream]) -> list[str]:
    """Return the subjects that can be compared: those with at least one table stream."""
    return list(dict.fromkeys(stream.subject for stream in streams if stream.kind is Kind.TABLE))


def cannot_compare(streams: Sequence[Stream]) -> str:
    """Say why the streams of a subject cannot be compared."""
    names = ", ".join(stream.name for stream in streams)
    if not streams:
        return "no stream of the declaration feeds it"
    return f"{names}: an outbox reports changes and holds no state, so there is nothing to compare"


class _ComparedStream:
    """One table stream."""

    def __init__(self, context: Context, stream: Stream) -> None:
        self.name = stream.name
        self._context = context
        self._stream = stream
        version = context.catalogue.latest(stream.subject)
        self._mapper = RowMapper(declaration_in_force(context), stream, version, context.secret)
        self._encoder = Encoder(stream.subject, context.secret, context.catalogue)
        self._columns = ColumnEncoder(self._mapper, self._encoder)
        self._order = OrderMemory(self._mapper, self._encoder, context.secret, 0.0, lambda things: {})
        self._table = SourceTable(context.engine, stream)
        self._reading = reading_of(context.declaration, self._table)
        self._position: Position | None = None
        self._since = datetime.now(UTC)

    @property
    def is_position_known(self) -> bool:
        return self._position is not None

    def begin(self) -> None:
        self._position, self._since = self._context.state.position(self.name), datetime.now(UTC)

    def rows(self) -> Iterator[SourceRows]:
        for rows in read_ahead(all_rows(self._table, self._table.rows())):
            yield self._page(rows)

    def unread(self) -> Iterator[SourceRows]:
        if self._position is None:
            return
        is_all = self._position.get(PHASE) == SNAPSHOT or looked_at(self._table, self._position)[1] is not None
        wanted = None if is_all else self._reading.unread(self._position, self._since)
        for rows in all_rows(self._table, self._table.rows() if wanted is None else wanted):
            yield self._page(rows)

    def _page(self, rows: Rows) -> SourceRows:
        now = datetime.now(UTC)
        unmapped = [
            Unmapped(self._mapper.row_hash(row), RejectReason.SOURCE_CANNOT_READ.value, "", self._key(row))
            for row in rows
            if isinstance(row, UnreadableRow)
        ]
        rows = [row for row in rows if not isinstance(row, UnreadableRow)] if unmapped else rows
        encoded = self._columns.encode(rows, now)
        records: list[Record] = []
        mapped: list[Sequence[Any]] = []
        for row, record in zip(rows, encoded.records, strict=True):
            try:
                if record is None or len(record[1]) > MAX_RECORD_BYTES:
                    record = record_of_row(self._mapper, self._encoder, row, now).record
            except Unmappable as problem:
                name = self._mapper.row_hash(row)
                unmapped.append(Unmapped(name, problem.reason.value, problem.field or "", self._key(row)))
            else:
                records.append(record)
                mapped.append(row)
        return SourceRows(
            self.name,
            records,
            unmapped,
            self._place_of(mapped),
            self._raised_of(mapped, now),
            self._remember_of(mapped, records, now),
        )

    def _place_of(self, rows: Sequence[Sequence[Any]]) -> Callable[[int], str]:
        return lambda number: json.dumps(self._table.place(rows[number]), ensure_ascii=False)

    def _raised_of(self, rows: Sequence[Sequence[Any]], now: datetime) -> Callable[[int, int], Record]:
        def raised(number: int, version: int) -> Record:
            return record_of_row(self._mapper, self._encoder, rows[number], now, version).record

        return raised

    def _remember_of(
        self, rows: Sequence[Sequence[Any]], records: Sequence[Record], now: datetime
    ) -> Callable[[Mapping[int, int]], None]:
        def remember(raised: Mapping[int, int]) -> None:
            said = {}
            for number, version in raised.items():
                row, own = rows[number], self._mapper.version(rows[number])
                event_id = self._mapper.event_id(row, own, self._mapper.operation(row))
                content = self._order.content(records[number][1], event_id, now)
                said[self._mapper.row_hash(row)] = Said(own, version, content, None, FOR_EVER_US)
            # without a checkpoint there is no connector here that must remember it
            if said and self._context.state.position(self.name) is not None:
                self._context.state.remember(self.name, said)

        return remember

    def _key(self, row: Sequence[Any]) -> bytes | None:
        """Return the key of a row that has no record; its key fields may still be right. None if they are not."""
        steps = {step.field: step for step in self._mapper.steps}
        (opened,), _ = self._mapper.opened([row])
        try:
            return self._encoder.key({name: steps[name].value(opened) for name in self._encoder.key_names})
        except (Unmappable, PoisonError, KeyError):
            return None


def all_rows(table: SourceTable, wanted: Select[Any]) -> Iterator[Rows]:
    """Read the rows of a select: on PostgreSQL in one snapshot through a server-side cursor, else page by page."""
    if not table.is_postgresql:
        yield from all_pages(table, wanted, ROWS_AT_ONCE)
        return
    after: list[JsonValue] | None = None
    try:
        with translated(table.what), table.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            # all rows are wanted, so the planner need not be fast with the first ones
            connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
            # in key order, so that reading can continue after a row that cannot be read
            for page in streamed(connection, wanted.order_by(*table.key), ROWS_AT_ONCE):
                yield table.with_children(connection, page)
                after = next((place for row in reversed(page) if None not in (place := table.place(row))), after)
    except SourceRowError:
        yield from all_pages(table, wanted, ROWS_AT_ONCE, after)
