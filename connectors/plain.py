"""A source's value as plain text."""

import unicodedata
from decimal import Decimal

from connectors.reasons import RejectReason, Unmappable


def plain(value: object) -> str | None:
    """Return a value as text without surrounding space; None for none and for empty text."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dict | list | bytes):
        raise Unmappable(RejectReason.BAD_TEXT)
    return str(value)


def folded(text: str) -> str:
    """Return a word as code tables are looked up: composed letters, no surrounding space."""
    return unicodedata.normalize("NFC", text.strip())
