"""Reading any database by a time column: the last seconds are read again at every poll.

A row may carry a time before the mark when its transaction commits after it; as long as no transaction stays open
longer than the overlap, it is still met. Rows read again are not sent again in the same run; after a restart they
are, as duplicates. Rows without a time (null, or what is none: 0000-00-00) are read at every poll.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, false, func, literal, or_, select, type_coerce
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
_log = logging.getLogger(__name__)


class OverlapReading:
    """Reads a table by its ``changed_at``. Positions: ``mark``, the latest time met, never later than now."""

    def __init__(self, table: SourceTable, page_rows: int, overlap_s: float, now: Callable[[], datetime]) -> None:
        """Take the table; ``now`` tells the time as the source's time zone shows it."""
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
                    " text); name another column, or a view of the table that makes one"
                ]
            )
        self._times = TimeColumn(column, dialect)
        self._column = self._times.column
        self._zone = now().tzinfo or UTC
        self._has_zone = bool(getattr(column.type, "timezone", False))
        self._place = [column.name for column in table.columns].index(column.name)

    def begin(self) -> Position:
        """Return the position of a snapshot; the latest time now there is where the changes begin."""
        with translated(self._table.what), self._table.engine.connect() as connection:
            latest = self._latest(connection)
        return {PHASE: SNAPSHOT, MARK: self._later(None, latest)}

    def _latest(self, connection: Connection) -> Any:
        """Return the latest time in the table; of text the last one in its order, which is one of the latest."""
        latest = select(type_coerce(func.max(self._column), NullType())).select_from(self._table.table)
        some = self._times.with_time()
        return connection.execute(latest if some is None else latest.where(some)).scalar()

    def snapshot(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read all rows that are visible; see ``Reading``."""
        yield from snapshot_pages(self._table, self._page_rows, position)
        yield [], {PHASE: CHANGES, MARK: position[MARK]}

    def changes(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Read the rows changed since the mark, less the overlap; see ``Reading``."""
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
        """Return the position, or an earlier one where the newest row is older than what was read.

        The newest row at the mark stays there until it changes, and then its time is later: where neither is so, it
        was deleted, or the source is a copy of earlier days. What is there now is read again from its newest time on.
        """
        mark = position[MARK]
        if not isinstance(mark, str):
            return position
        with translated(self._table.what), self._table.engine.connect() as connection:
            newer = self._times.since(self._since(mark))
            if connection.execute(select(literal(1)).select_from(self._table.table).where(newer).limit(1)).first():
                return position
            latest = self._latest(connection)
        earlier = self._later(None, latest)
        if earlier is None and latest is not None:
            return position
        _log.warning(
            "%s: the newest row is older than what was read: rows were deleted, or the source was restored from a copy."
            " It is read on from there; compare the source with the warehouse",
            self._table.what,
        )
        at = datetime.now(UTC).isoformat(timespec="seconds")
        said: dict[str, JsonValue] = {"at": at, "read_again": f"from {earlier}, not {mark}"}
        return {**position, MARK: earlier, STEPPED_BACK: said}

    def _without_time(self) -> Iterator[Rows]:
        """Read the rows without a time: no window has them, so every poll looks at all of them."""
        if self._times.timeless is not None:
            statement = self._table.rows().where(self._times.timeless).order_by(*self._table.key)
            yield from (rows for _, rows in window_pages(self._table, statement, self._page_rows))

    def _latest_of(self, mark: JsonValue, rows: Rows) -> JsonValue:
        """Return the latest time of the mark and of a page; rows come in the order of the column, which text is not."""
        for row in rows if self._times.is_text else rows[-1:]:
            mark = self._later(mark, row[self._place])
        return mark

    def _not_older(self, rows: Rows, position: Position) -> Rows:
        """Return the rows of the window: text lies in it by its letters, and may say an older moment."""
        if not self._times.is_text or not isinstance(position[MARK], str):
            return rows
        moments = [self.moment(row[self._place]) for row in rows]
        return [
            row for row, moment in zip(rows, moments, strict=True) if moment is None or self.is_recent(moment, position)
        ]

    def is_held_back(self) -> bool:
        """No: what is committed late is found by reading the last seconds again."""
        return False

    def held_back_at(self) -> None:
        """Nowhere: see ``is_held_back``."""

    def held_back_by(self) -> str:
        """Nobody: see ``is_held_back``."""
        return "nothing"

    def unread(self, position: Position, since: datetime) -> Select[Any] | None:
        """Select the rows later than the mark, and those so young that a poll may not have met them; None: all."""
        mark = position.get(MARK)
        if not isinstance(mark, str):
            return None
        latest, young = self._as_kept(self._moment(mark)), self._as_kept(since - self._overlap)
        later = or_(self._column > latest, self._column >= young)
        if self._times.is_text:
            # what every poll looks at may not have been looked at yet
            later = or_(
                later,
                self._times.since(min(latest, young)),
                self._times.timeless if self._times.timeless is not None else false(),
            )
        return self._table.rows().where(later)

    def is_recent(self, changed_at: datetime, position: Position) -> bool:
        """Say whether a poll from ``position`` may meet a row of that time again."""
        mark = position.get(MARK)
        return not isinstance(mark, str) or changed_at >= self._moment(mark) - self._overlap

    def moment(self, value: Any) -> datetime | None:
        """Return a value of ``changed_at`` as a time with its offset; None where it is none that can be read."""
        return moment_or_none(value, self._zone)

    def _moment(self, mark: str) -> datetime:
        moment = datetime.fromisoformat(mark)
        return moment if moment.tzinfo else moment.replace(tzinfo=self._zone)

    def _since(self, mark: str) -> datetime:
        """Return where a poll begins, as the column has its times."""
        return self._as_kept(self._moment(mark) - self._overlap)

    def _as_kept(self, moment: datetime) -> datetime:
        return moment if self._has_zone else moment.astimezone(self._zone).replace(tzinfo=None)

    def _later(self, mark: JsonValue, value: Any) -> JsonValue:
        """Return the later time, but none to come: a row dated ahead would hide all that follow."""
        latest = self.moment(value)
        if latest is None:
            return mark
        latest = min(latest, self._now())
        return latest.isoformat() if not isinstance(mark, str) or latest > self._moment(mark) else mark
