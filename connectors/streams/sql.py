"""The connectors on SQLAlchemy: ``outbox`` and ``table``, made from a declaration alone.

Both read a table without missing a row (``horizon``, ``overlap``). They differ in what a row is: an outbox's row is
an event, and its id is the version. A table's row is a state, and its version is a column or the time of its last
change.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.access.ahead import read_ahead
from connectors.access.lookup import rows_named
from connectors.access.opened import OpenTable
from connectors.access.origin import STEPPED_BACK
from connectors.access.overlap import OverlapReading
from connectors.access.read_as import READ_AS, is_of
from connectors.access.reading import PHASE, SNAPSHOT, Rows
from connectors.access.source import SourceTable
from connectors.access.ways import carried, looked_at
from connectors.base.port import Page, Position, Reject
from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper
from connectors.conversion.noted import dropped_of
from connectors.conversion.order import Met, OrderMemory
from connectors.conversion.rows import record_of_row
from connectors.declared.declaration import Declaration, Stream
from connectors.memory.readings import mapping_digest
from connectors.streams.context import Context, declaration_in_force
from connectors.streams.mapped import Mapped, Mapping
from connectors.streams.sent import SentRows
from connectors.tables.apart import REASONS, told_apart
from connectors.tables.identity import IDENTITY, same_names
from connectors.tables.unreadable import UnreadableRow
from hub.codec.encode import Encoder
from hub.topology import MAX_RECORD_BYTES, event_topic

_log = logging.getLogger(__name__)


KEYS_MENDED = "rows that had no key, or shared one, have keys of their own"
"""Why a table is read again whole: some of those rows may be unchanged and never read."""


class SqlConnector:
    """One stream of a source; see ``port.Connector``. ``stored`` makes the first contact with the source."""

    def __init__(self, context: Context, stream: Stream) -> None:
        self._context = context
        self._stream = stream
        self._encoder = Encoder(stream.subject, context.secret, context.catalogue)
        self._map(context.declaration)
        self._open = OpenTable(context.declaration, self.table)
        self._rejected: set[str] = set()
        self._mended: frozenset[str] = frozenset()
        self._from: Position = {}
        self._sent = SentRows()
        self._mapping: str | None = None

    def _map(self, declaration: Declaration) -> None:
        """Create what maps and encodes rows, with the declaration's epoch."""
        context, stream = self._context, self._stream
        self._epoch = declaration.epoch
        self._mapper = RowMapper(declaration, stream, context.catalogue.latest(stream.subject), context.secret)
        self._columns = ColumnEncoder(self._mapper, self._encoder)
        version = context.catalogue.latest(stream.subject)
        self._full = RowMapper(declaration, stream, version, context.secret, is_full_read=True)
        self._full_columns = ColumnEncoder(self._full, self._encoder)
        self._order = OrderMemory(
            self._mapper,
            self._encoder,
            context.secret,
            max(declaration.remember_s, 2 * declaration.overlap_s),
            lambda things: context.state.said(stream.name, things),
        )

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._stream.name

    @property
    def topic(self) -> str:
        """The topic of its subject."""
        return event_topic(self._stream.subject)

    def stored(self) -> Position | None:
        """Return the stored position; load which rows are rejects, and whether to read them again."""
        with self._open.steady():
            is_open = self._open.reading is not None
            _, table = self._open.opened()
        stored, self._rejected = self._context.state.load(self.name)
        if not is_open:
            self._mended = self._mended_keys(table)
        declaration = declaration_in_force(self._context)
        if declaration.epoch != self._epoch:
            self._map(declaration)
        if stored is not None and not is_of(stored.position, self._open.read_as):
            _log.warning(
                "stream %s: its declaration names another table, key, where or way of reading than before: it is read"
                " again from the beginning",
                self.name,
            )
            self._context.state.forget_rejects(self.name, tuple(RejectReason))
            self._rejected, self._mended, stored = set(), frozenset(), None
        self._compare_mapping()
        return stored.position if stored else None

    def _mended_keys(self, table: SourceTable) -> frozenset[str]:
        """Return the rejects of keys, if every row has a key of its own now.

        A row that shared its key may be unchanged: no poll reads it, so the whole table is read again.
        """
        return frozenset() if table.proof.is_doubtful else self._context.state.rejected_for(self.name, REASONS)

    def _compare_mapping(self) -> None:
        """Find out whether the mapping has changed since the rejects were read; without rejects it is only stored."""
        state, version = self._context.state, self._context.catalogue.latest(self._stream.subject)
        digest = mapping_digest(self._context.declaration, self._stream, version)
        is_new = state.mapping(self.name) != digest
        self._mapping = digest if is_new and self._rejected else None
        if is_new and not self._rejected:
            state.keep_mapping(self.name, digest)

    def snapshot(self, position: Position | None) -> Iterator[Page]:
        """Read everything, or the rest of an interrupted snapshot; see ``port.Connector``."""
        with self._open.steady():
            if position is None:
                position = self._open.begun()
            if position.get(PHASE) == SNAPSHOT:
                _, table = self._open.opened()
                _, why = looked_at(table, position)
                why = why or (KEYS_MENDED if self._mended else None)
                yield from self._all(position) if why is None else self._anew(why)

    def changes(self, position: Position) -> Iterator[Page]:
        """Read what is new; see ``port.Connector``. If the table is another one now, read all of it."""
        with self._open.steady():
            reading, table = self._open.opened()
            self._begin_at(position)
            now, why = looked_at(table, position)
            why = why or (KEYS_MENDED if self._mended else None)
            if why is not None:
                yield from self._anew(why)
                return
            is_known = same_names(position.get(IDENTITY), now)
            position = {**position, IDENTITY: now}  # type: ignore[dict-item]
            if not is_known:
                yield self._page([], position, None)
            if self._mapping is not None:
                yield from self._rejects_again(position, self._mapping)
            for rows, after in reading.changes(position):
                yield self._page(rows, carried(position, after), self._changed_place())
        if isinstance(reading, OverlapReading):
            self._sent.keep(lambda changed_at: self._may_come_again(changed_at, position))

    def _anew(self, why: str) -> Iterator[Page]:
        """Read the whole table again; the first page stores that, and with it forgets the rejects of keys."""
        position = {**self._open.anew(why), READ_AS: self._open.read_as}
        page = Page(position, resolved=sorted(self._mended), is_kept=True)
        self._rejected -= self._mended
        self._sent.made(page)
        yield page
        yield from self._all(position)

    def _all(self, position: Position) -> Iterator[Page]:
        """Read all rows from a snapshot's position on."""
        reading, _ = self._open.opened()
        self._begin_at(position)
        # one page ahead: a snapshot's pages do not depend on what happens to earlier ones
        for rows, after in read_ahead(reading.snapshot(position)):
            yield self._page(rows, carried(position, after), self._changed_place())

    def _rejects_again(self, position: Position, mapping: str) -> Iterator[Page]:
        """Read the rejected rows with the present mapping; the last page says that all of them were read."""
        _, table = self._open.opened()
        for rows in rows_named(table, self._mapper, self._rejected):
            yield self._page(rows, position, None)
        last = Page({**position, READ_AS: self._open.read_as}, mapping=mapping)
        self._sent.made(last)
        yield last

    def _may_come_again(self, at: datetime | None, position: Position) -> bool:
        """Tell whether the next poll may read a row of that time again; a row without a time comes at every poll."""
        return (
            at is None
            or not isinstance(self._open.reading, OverlapReading)
            or self._open.reading.is_recent(at, position)
        )

    def _begin_at(self, position: Position) -> None:
        """Drop what unconfirmed pages of an earlier position say."""
        self._sent.forget_unconfirmed()
        self._order.forget_under_way()
        self._from = position

    def is_held_back(self) -> bool:
        """Tell whether an open transaction may hide rows that were committed before the run; see ``port.Connector``."""
        return self._open.reading is not None and self._open.reading.is_held_back()

    def held_back_at(self) -> str | None:
        """Name what holds rows back; see ``port.Connector``."""
        return self._open.reading.held_back_at() if self._open.reading else None

    def held_back_by(self) -> str:
        """Say who holds rows back; see ``port.Connector``."""
        return self._open.reading.held_back_by() if self._open.reading else "nothing"

    def keep_wait(self, waits_for: str | None, since: datetime) -> None:
        """Store what the stream waits for; see ``port.Connector``."""
        self._context.state.wait(self.name, waits_for, since)

    def checkpoint(self, page: Page) -> None:
        """Store a confirmed page."""
        self._context.state.save(self.name, page)
        self._mapping = None if page.mapping is not None else self._mapping
        self._rejected.difference_update(page.resolved)
        self._mended = self._mended.difference(page.resolved)
        self._rejected.update(reject.row for reject in (*page.rejects, *page.dropped))
        self._order.confirmed(page.said)
        self._sent.confirmed(page)

    def close(self) -> None:
        """Close the connections to the source and to the state, and release the lock."""
        self._context.close()

    def table(self) -> SourceTable:
        """Return the stream's table, after its key is proved; see ``SourceTable.prove_key``."""
        table = SourceTable(self._context.engine, self._stream)
        table.prove_key()
        return table

    def _page(self, rows: Rows, position: Position, changed: int | None) -> Page:
        """Map rows; ``changed``: the place of a row's time, if polls read rows again that were already sent."""
        found, now = Mapped(), datetime.now(UTC)
        is_full_read = position.get(PHASE) == SNAPSHOT
        mapper, columns = (self._full, self._full_columns) if is_full_read else (self._mapper, self._columns)
        rows = self._to_be_sent(rows, changed, found)
        met = self._met(rows, Mapping(mapper, columns, changed, now), found)
        found.records, said = self._order.settle(
            met,
            now,
            is_full_read and STEPPED_BACK not in position,
            lambda row, version: record_of_row(mapper, self._encoder, row, now, version).record,
        )
        is_kept = not same_names(self._from.get(IDENTITY), position.get(IDENTITY) or {})  # type: ignore[arg-type]
        position = {**position, READ_AS: self._open.read_as}
        page = Page(position, found.records, found.rejects, found.resolved, said, is_kept, dropped=found.dropped)
        self._sent.made(page)
        return page

    def _to_be_sent(self, rows: Rows, changed: int | None, found: Mapped) -> Rows:
        """Return the rows that can be told apart and may be new, in their order; the others are rejects, or known."""
        self._sent.begin_page()
        table = self._open.table
        lost = [row for row in rows if isinstance(row, UnreadableRow)]
        rows = [row for row in rows if not isinstance(row, UnreadableRow)] if lost else rows
        if table is not None and not table.proof.is_kept:
            rows, found.rejects = told_apart(rows, table, table.shared, self._mapper.content_hash, self._rejected)
        found.rejects += self._unreadable(lost, is_met_again=changed is not None)
        if changed is not None:
            name = self._mapper.row_hash
            rows = [row for row in rows if self._at(row, changed) is not None or self._sent.is_new(name(row), row)]
        return self._order.by_time(rows) if self._open.sorts else rows

    def _met(self, rows: Rows, how: Mapping, found: Mapped) -> list[Met]:
        """Return the rows that became events and were not sent before; note what became of the others."""
        met = list[Met]()
        encoded = how.columns.encode(rows, how.now)
        for place, (row, record, event_id) in enumerate(zip(rows, encoded.records, encoded.event_ids, strict=True)):
            doubtful = encoded.doubtful.get(place, "")
            try:
                if record is None or event_id is None or len(record[1]) > MAX_RECORD_BYTES:
                    record, event_id, doubtful = record_of_row(how.mapper, self._encoder, row, how.now)
                at = self._at(row, how.changed)
                if at is not None and self._is_sent(row, self._order.content(record[1], event_id, how.now), at):
                    continue
                dropped = dropped_of(doubtful)
                met.append(Met(row, record, event_id, is_whole=not dropped))
            except Unmappable as problem:
                found.rejects += self._rejected_now(row, how.changed, problem)
            else:
                if dropped:
                    name, where = self._mapper.row_hash(row), self._mapper.place(row)
                    found.dropped.append(Reject(name, where, RejectReason.FIELD_DROPPED, dropped))
                elif self._rejected and (name := self._mapper.row_hash(row)) in self._rejected:
                    found.resolved.append(name)
        return met

    def _unreadable(self, rows: Rows, is_met_again: bool) -> list[Reject]:
        """Return a reject for each row that the source cannot read; a row read again is not reported twice."""
        return [
            Reject(name, self._mapper.place(row), RejectReason.SOURCE_CANNOT_READ, "")
            for row in rows
            if (name := self._mapper.row_hash(row)) not in self._rejected or not is_met_again
        ]

    def _changed_place(self) -> int | None:
        """Return the place of a row's time, if every poll reads rows again; else None."""
        if not isinstance(self._open.reading, OverlapReading) or not self._stream.changed_at:
            return None
        return self._mapper.columns.index(self._stream.changed_at)

    def _at(self, row: Sequence[Any], changed: int | None) -> datetime | None:
        """Return a row's time, if polls read rows again by it; None also if the time cannot be read."""
        reading = self._open.reading
        return None if changed is None or not isinstance(reading, OverlapReading) else reading.moment(row[changed])

    def _is_sent(self, row: Sequence[Any], content: str, changed_at: datetime) -> bool:
        """Tell whether the same content was already sent of a row; if not, note it if the row may come again."""
        reading = self._open.reading
        may_come_again = isinstance(reading, OverlapReading) and reading.is_recent(changed_at, self._from)
        return self._sent.is_sent(self._mapper.row_hash(row), content, changed_at if may_come_again else None)

    def _rejected_now(self, row: Sequence[Any], changed: int | None, problem: Unmappable) -> tuple[Reject, ...]:
        at = self._at(row, changed)
        if at is not None and self._is_sent(row, f"{problem} {at}", at):
            return ()
        return (Reject(self._mapper.row_hash(row), self._mapper.place(row), problem.reason, problem.field or ""),)
