"""Columns whose values must be told apart from others that look like them in Python."""

import struct
from typing import Any

from sqlalchemy import Double
from sqlalchemy.types import NullType, TypeDecorator

from connectors.conversion.lookalikes import LooseText, Single

_DIGITS = range(6, 10)
"""Six digits are the fewest that a server prints of a single-precision number; nine tell all of them apart."""


class LooseColumn(TypeDecorator[Any]):
    """Reads a column of SQLite without a declared type."""

    impl = NullType
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the value; a text is marked."""
        return LooseText(value) if value.__class__ is str else value


class SingleColumn(TypeDecorator[float]):
    """Reads MariaDB's ``FLOAT`` in double precision: of the column itself the server prints six digits."""

    impl = Double
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the number that the column holds."""
        return _shortest(value) if isinstance(value, float) else value


def _shortest(value: float) -> float:
    for digits in _DIGITS:
        found = float(f"{value:.{digits}g}")
        if _single(found) == value:
            return Single(found)
    return Single(value)


def _single(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf")
