"""A source's value as plain text."""

import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from connectors.base.reasons import RejectReason, Unmappable

_MOST_DIGITS = 200_000
"""The longest number that a database holds has 147,455 digits (PostgreSQL's ``numeric``)."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Replaces a value that could not be read; the row is rejected if a field needs the value."""

    reason: RejectReason


def plain(value: object) -> str | None:
    """Return a value as text without surrounding space; None for no value and for empty text.

    Raises:
        Unmappable: BAD_TEXT for what is not text (bytes, a list), BAD_NUMBER for NaN and the infinities.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal | float):
        return _digits(value if isinstance(value, Decimal) else Decimal(repr(value)))
    if isinstance(value, Unreadable):
        raise Unmappable(value.reason)
    if isinstance(value, dict | list | tuple | set | bytes | bytearray | memoryview):
        raise Unmappable(RejectReason.BAD_TEXT)
    return str(value)


def _digits(value: Decimal) -> str:
    """Return all digits of a number, without exponent and without trailing zeros."""
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
        raise Unmappable(RejectReason.BAD_NUMBER)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def folded(text: str) -> str:
    """Return a word as code tables look it up: composed letters (NFC), no surrounding space."""
    return unicodedata.normalize("NFC", text.strip())
