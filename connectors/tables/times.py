"""The column of a row's last change, as a poll uses it: which rows are later than a time, which have none.

SQLite has no type for times. It stores them as text, and text has its own order: ``T`` sorts after
a space, a time with an offset is not where its moment would be, ``01/07/2025`` sorts before ISO dates that are earlier.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, DateTime, String, and_, func, literal, not_, or_, type_coerce
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.types import Date, NullType, TypeEngine

_ISO = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_WITH_OFFSET = "*[Zz+-]*"
_LONGEST_OFFSETS = timedelta(hours=38)
"""How far the text of a time may differ from the same moment in the source's zone: 24 h for one, 14 h for the other."""


class TimeColumn:
    """A stream's ``changed_at``, read with an overlap.

    Fields:
        column: is compared with times.
        is_text: its order is that of text, so the rows of a poll must be checked once more.
    """

    def __init__(self, column: Column[Any], dialect: str) -> None:
        self.is_text = dialect == "sqlite"
        self.column: ColumnElement[Any] = type_coerce(column, DateTime()) if self.is_text else column
        self.timeless = timeless(column, dialect)

    def since(self, moment: datetime) -> ColumnElement[bool]:
        """Return the condition of the rows at or after a time; for text it may match more, but none of ``timeless``."""
        later = self.column >= moment
        if not self.is_text:
            return later
        has_offset = func.substr(self.column, 11, type_=String()).op("GLOB")(_WITH_OFFSET)
        maybe = and_(has_offset, self.column >= moment - _LONGEST_OFFSETS)
        return and_(_is_iso(self.column), or_(later, maybe))

    def until(self, moment: datetime) -> ColumnElement[bool]:
        """Return the condition of the rows at or before a time; for text with offsets it may match some later ones."""
        earlier = self.column <= moment
        if not self.is_text:
            return earlier
        has_offset = func.substr(self.column, 11, type_=String()).op("GLOB")(_WITH_OFFSET)
        maybe = and_(has_offset, self.column <= moment + _LONGEST_OFFSETS)
        return and_(_is_iso(self.column), or_(earlier, maybe))

    def with_time(self) -> ColumnElement[bool] | None:
        """Return the condition of the rows whose times can be compared; None if all can."""
        return _is_iso(self.column) if self.is_text else None


def is_time(kind: TypeEngine[Any], dialect: str) -> bool:
    """Tell whether a column of a type can hold times of change; in SQLite also text and columns without a type."""
    inner = kind.data_type if isinstance(kind, DOMAIN) else kind
    if dialect == "sqlite" and isinstance(inner, String | NullType | Date):
        return True
    try:
        return issubclass(inner.python_type, datetime)
    except NotImplementedError:
        return False


def timeless(column: Column[Any], dialect: str) -> ColumnElement[bool] | None:
    """Return the condition of rows without a time that can be compared; None if all rows have one."""
    if dialect == "sqlite":
        # numbers, bytes, empty text, 01/07/2025: they sort before or after all times, whatever they mean
        return or_(column.is_(None), not_(_is_iso(column)))
    if dialect in ("mysql", "mariadb"):
        return or_(column.is_(None), column < literal("0001-01-01", NullType()))
    return column.is_(None) if column.nullable else None


def _is_iso(column: ColumnElement[Any]) -> ColumnElement[bool]:
    is_text = func.typeof(column, type_=String()) == "text"
    return and_(is_text, type_coerce(column, String()).op("GLOB")(_ISO))
