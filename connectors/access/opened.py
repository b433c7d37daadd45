"""A stream's table as it is open now, and the way it is read: met at first need, and anew when it is another table."""

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
    """The table of one stream and how it is read; ``reading`` and ``table`` are None until it is met.

    Fields:
        sorts: whether the rows of an outbox are ordered by their times, as its ids are taken ahead.
    """

    def __init__(self, declaration: Declaration, meet: Callable[[], SourceTable]) -> None:
        """Take what meets the table, its key proved."""
        self._declaration = declaration
        self._meet = meet
        self.reading: Reading | None = None
        self.table: SourceTable | None = None
        self.sorts = False
        self.read_as = ""

    def opened(self) -> tuple[Reading, SourceTable]:
        """Return the way of reading and the table, which is met where it was not."""
        if self.reading is None or self.table is None:
            self.reading = self._open()
        assert self.table is not None  # noqa: S101 - for the type checker: it was just met
        return self.reading, self.table

    def _open(self) -> Reading:
        table = self._meet()
        for doubt in table.proof.doubts:
            # what no constraint keeps was proved by a query, and `hub connect check` says it
            _log.log(logging.WARNING if table.proof.is_doubtful else logging.INFO, "%s", doubt)
        self.sorts = _has_ids_out_of_order(table)
        reading = reading_of(self._declaration, table)
        self.read_as = read_as(table.stream, late_rows_of(table))
        self.table = table
        return reading

    def begun(self) -> Position:
        """Return the position of a snapshot that begins now. The table is named first: it may be swapped meanwhile."""
        reading, table = self.opened()
        now = identity_of(table)
        return {**reading.begin(), IDENTITY: now}  # type: ignore[dict-item]

    def anew(self, why: str) -> Position:
        """Return the position from which another table is read whole: its columns and its key may be others."""
        self.reading = None
        _, table = self.opened()
        _log.warning("%s: %s since it was read: it is read again whole", table.what, why)
        return {**self.begun(), STEPPED_BACK: stepped_back_now(why)}

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Look at the table anew after an error; what was right once may be so again: a table is being swapped."""
        try:
            yield
        except ConfigError as error:
            self.reading = None
            if isinstance(error, LimitError) or self.table is None:
                raise
            raise TableChangedError(error.problems) from None


def _has_ids_out_of_order(table: SourceTable) -> bool:
    """Tell whether the rows of an outbox are ordered by their times: its ids are taken ahead, and are its version."""
    stream = table.stream
    if stream.kind is not Kind.OUTBOX or not table.is_postgresql or stream.changed_at is None:
        return False
    with translated(table.what), table.engine.connect() as connection:
        numbers = numbers_of(connection, table.key[0])
    return numbers is not None and not numbers.are_in_order
