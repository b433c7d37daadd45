"""A stream's table and the way it is read: opened at first use, and again when the table is another one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors.access.origin import STEPPED_BACK
from connectors.access.read_as import read_as
from connectors.access.reading import Reading
from connectors.access.source import SourceTable
from connectors.access.ways import late_rows_of, reading_of
from connectors.base.port import Position
from connectors.declared.declaration import Declaration, Kind
from connectors.faults import LimitError, TableChangedError, translated
from connectors.tables.identity import IDENTITY, identity_of, stepped_back_now
from connectors.tables.sequences import numbers_of
from hub.model.errors import ConfigError

_log = logging.getLogger(__name__)


class OpenTable:
    """The table of one stream and how it is read; ``reading`` and ``table`` are None until the table is opened.

    Fields:
        sorts: whether the rows of an outbox are sorted by their times, because its ids are taken ahead.
    """

    def __init__(self, declaration: Declaration, meet: Callable[[], SourceTable]) -> None:
        """Take ``meet``: it returns the table, after it has proved the table's key."""
        self._declaration = declaration
        self._meet = meet
        self.reading: Reading | None = None
        self.table: SourceTable | None = None
        self.sorts = False
        self.read_as = ""

    def opened(self) -> tuple[Reading, SourceTable]:
        """Return the way of reading and the table; open the table if it is not open yet."""
        if self.reading is None or self.table is None:
            self.reading = self._open()
        assert self.table is not None  # noqa: S101 - for the type checker: it was just opened
        return self.reading, self.table

    def _open(self) -> Reading:
        table = self._meet()
        for doubt in table.proof.doubts:
            # no constraint guarantees this; a query proved it for the rows there are, and `hub connect check` reports
            # it
            _log.log(logging.WARNING if table.proof.is_doubtful else logging.INFO, "%s", doubt)
        self.sorts = _has_ids_out_of_order(table)
        reading = reading_of(self._declaration, table)
        self.read_as = read_as(table.stream, late_rows_of(table))
        self.table = table
        return reading

    def begun(self) -> Position:
        """Return the position of a snapshot that begins now. Identify the table first: it may be swapped meanwhile."""
        reading, table = self.opened()
        now = identity_of(table)
        return {**reading.begin(), IDENTITY: now}  # type: ignore[dict-item]

    def anew(self, why: str) -> Position:
        """Return the position for reading another table from its beginning; its columns and its key may differ."""
        self.reading = None
        _, table = self.opened()
        _log.warning("%s: %s since it was read: the whole table is read again", table.what, why)
        return {**self.begun(), STEPPED_BACK: stepped_back_now(why)}

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Open the table again after an error: an error may only mean that the table is being swapped just now."""
        try:
            yield
        except ConfigError as error:
            self.reading = None
            if isinstance(error, LimitError) or self.table is None:
                raise
            raise TableChangedError(error.problems) from None


def _has_ids_out_of_order(table: SourceTable) -> bool:
    """Tell whether the rows of an outbox must be sorted by time: sessions take ids ahead, and the id is the version."""
    stream = table.stream
    if stream.kind is not Kind.OUTBOX or not table.is_postgresql or stream.changed_at is None:
        return False
    with translated(table.what), table.engine.connect() as connection:
        numbers = numbers_of(connection, table.key[0])
    return numbers is not None and not numbers.are_in_order
