"""Reading any database by a time column: every poll reads the last seconds again.

A row may carry a time before the mark if its transaction commits after the mark was taken. It is still found, as long
as no transaction stays open longer than the overlap. Rows that are read again are not sent again in the same run; after
a restart they are sent again, and the hub audits them as duplicates. Rows without a time (null, or no real time:
0000-00-00) are read at every poll.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, false, literal, or_, select, type_coerce
from sqlalchemy.types import NullType

from connectors.access.origin import STEPPED_BACK
from connectors.access.reading import CHANGES, PHASE, SNAPSHOT, Rows, snapshot_pages, window_pages
from connectors.access.source import SourceTable
from connectors.base.port import JsonValue, Position
from connectors.conversion.dates import moment_or_none
from connectors.faults import translated
from connectors.tables.times import TimeColumn, is_time
from hub.model.errors import ConfigError

MARK = "mark"
_LATEST = 50
"""So many of the last rows in text order are looked at for the latest time."""
_log = logging.getLogger(__name__)


class OverlapReading:
    """Reads a table by its ``changed_at``. Positions: ``mark``, the latest time read, never later than now."""

    def __init__(self, table: SourceTable, page_rows: int, overlap_s: float, now: Callable[[], datetime]) -> None:
        """Take the table; ``now`` returns the present time in the source's time zone."""
        self._table = table
        self._page_rows = page_rows
        self._overlap = timedelta(seconds=overlap_s)
        self._now = now
        column = table.changed_at
        dialect = table.engine.dialect.name
        if column is None or not is_time(column.type, dialect):
            named = "changed_at" if column is None else f"changed_at = {column.name!r} to be"
            raise ConfigError(
                [
                    f"{table.what}: reading with an overlap needs {named}, a column of date and time (of SQLite: or"
                    " text); name another column, or a view of the table that has one"
                ]
            )
        self._times = TimeColumn(column, dialect)
        self._column = self._times.column
        self._zone = now().tzinfo or UTC
        self._has_zone = bool(getattr(column.type, "timezone", False))
        self._place = [column.name for column in table.columns].index(column.name)

    def begin(self) -> Position:
        """Return the position of a snapshot; the changes begin at the latest time in the table now."""
        with translated(self._table.what), self._table.engine.connect() as connection:
            return {PHASE: SNAPSHOT, MARK: self._latest(connection)}

    def _latest(self, connection: Connection) -> JsonValue:
        """Return the latest time in the table that is not in the future, as a mark; None if there is none.

        For text it is among the last in text order, which is close to the latest.
        """
        past = self._times.until(self._as_kept(self._now()))
        latest = select(type_coerce(self._column, NullType())).select_from(self._table.table).where(past)
        mark: JsonValue = None
        for value in connection.execute(latest.order_by(self._column.desc()).limit(_LATEST)).scalars():
            mark = self._later(mark, value)
        return mark

    def snapshot(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read all rows that are visible; see ``Reading``."""
        yield from snapshot_pages(self._table, self._page_rows, position)
        yield [], {PHASE: CHANGES, MARK: position[MARK]}

    def changes(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read the rows changed since the mark minus the overlap; see ``Reading``."""
        position = self._followed(position)
        kept: Position = {STEPPED_BACK: position[STEPPED_BACK]} if STEPPED_BACK in position else {}
        mark = position[MARK]
        statement = self._table.rows().order_by(self._column, *self._table.key)
        if isinstance(mark, str):
            statement = statement.where(self._times.since(self._since(mark)))
        elif (some := self._times.with_time()) is not None:
            statement = statement.where(some)
        for page, rows in window_pages(self._table, statement, self._page_rows):
            mark = self._latest_of(mark, page) if page else mark
            yield self._not_older(rows, position), {**kept, PHASE: CHANGES, MARK: mark}
        for rows in self._without_time():
            yield self._not_older(rows, position), {**kept, PHASE: CHANGES, MARK: mark}
        yield [], {**kept, PHASE: CHANGES, MARK: mark}

    def _followed(self, position: Position) -> Position:
        """Return the position, or an earlier one if the newest row is older than what was read.

        The newest row stays at the mark until it changes, and then its time is later. If the table holds neither, the
        row was deleted, or the source is a copy of earlier days. Then the table is read again from its newest time on.
        """
        mark = position[MARK]
        if not isinstance(mark, str):
            return position
        with translated(self._table.what), self._table.engine.connect() as connection:
            newer = and_(self._times.since(self._since(mark)), self._times.until(self._as_kept(self._now())))
            if connection.execute(select(literal(1)).select_from(self._table.table).where(newer).limit(1)).first():
                return position
            earlier = self._latest(connection)
        _log.warning(
            "%s: the newest row is older than what was read: rows were deleted, or the source was restored from a copy."
            " Reading continues from that row; compare the source with the warehouse",
            self._table.what,
        )
        at = datetime.now(UTC).isoformat(timespec="seconds")
        said: dict[str, JsonValue] = {"at": at, "read_again": f"from {earlier}, not {mark}"}
        return {**position, MARK: earlier, STEPPED_BACK: said}

    def _without_time(self) -> Iterator[Rows]:
        """Read the rows without a time: no window contains them, so every poll reads all of them."""
        if self._times.timeless is not None:
            statement = self._table.rows().where(self._times.timeless).order_by(*self._table.key)
            yield from (rows for _, rows in window_pages(self._table, statement, self._page_rows))

    def _latest_of(self, mark: JsonValue, rows: Rows) -> JsonValue:
        """Return the latest time of the mark and a page. Rows are in column order; for text that is not time order."""
        if self._times.is_text:
            for row in rows:
                mark = self._later(mark, row[self._place])
            return mark
        now = self._now()
        for row in reversed(rows):
            moment = self.moment(row[self._place])
            if moment is not None and moment <= now:
                return self._later(mark, row[self._place])
        return mark

    def _not_older(self, rows: Rows, position: Position) -> Rows:
        """Return the rows of the window: text is in it by text order, and may mean an earlier time."""
        if not self._times.is_text or not isinstance(position[MARK], str):
            return rows
        moments = [self.moment(row[self._place]) for row in rows]
        return [
            row for row, moment in zip(rows, moments, strict=True) if moment is None or self.is_recent(moment, position)
        ]

    def is_held_back(self) -> bool:
        """Return False: rows that are committed late are found by reading the last seconds again."""
        return False

    def held_back_at(self) -> None:
        """Return nothing: see ``is_held_back``."""

    def held_back_by(self) -> str:
        """Return ``nothing``: see ``is_held_back``."""
        return "nothing"

    def unread(self, position: Position, since: datetime) -> Select[Any] | None:
        """Select the rows later than the mark, and rows so recent that no poll may have read them yet; None: all."""
        mark = position.get(MARK)
        if not isinstance(mark, str):
            return None
        latest, young = self._as_kept(self._moment(mark)), self._as_kept(since - self._overlap)
        later = or_(self._column > latest, self._column >= young)
        if self._times.is_text:
            # the rows that every poll reads may not have been read yet
            later = or_(
                later,
                self._times.since(min(latest, young)),
                self._times.timeless if self._times.timeless is not None else false(),
            )
        return self._table.rows().where(later)

    def is_recent(self, changed_at: datetime, position: Position) -> bool:
        """Tell whether a poll from ``position`` may read a row of that time again."""
        mark = position.get(MARK)
        return not isinstance(mark, str) or changed_at >= self._moment(mark) - self._overlap

    def moment(self, value: Any) -> datetime | None:
        """Return a value of ``changed_at`` as a time with its offset; None if it is not a time."""
        return moment_or_none(value, self._zone)

    def _moment(self, mark: str) -> datetime:
        moment = datetime.fromisoformat(mark)
        return moment if moment.tzinfo else moment.replace(tzinfo=self._zone)

    def _since(self, mark: str) -> datetime:
        """Return where a poll begins, as the column stores times."""
        return self._as_kept(self._moment(mark) - self._overlap)

    def _as_kept(self, moment: datetime) -> datetime:
        return moment if self._has_zone else moment.astimezone(self._zone).replace(tzinfo=None)

    def _later(self, mark: JsonValue, value: Any) -> JsonValue:
        """Return the later time; one in the future does not count: it would hide the rows that come before it."""
        latest = self.moment(value)
        if latest is None or latest > self._now():
            return mark
        return latest.isoformat() if not isinstance(mark, str) or latest > self._moment(mark) else mark
