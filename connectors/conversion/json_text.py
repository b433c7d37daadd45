"""JSON of a source: exact numbers of a limited length, and nothing that JSON does not have."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.plain import Unreadable

MOST_DIGITS = 400
"""No field holds a longer number. A longer one is refused by its length, before it is converted."""

_TOO_LONG = Unreadable(RejectReason.BAD_NUMBER)


def parsed(value: str | bytes | bytearray, reason: RejectReason) -> Any:
    """Return the value of a JSON text; a number that no field could hold comes as ``Unreadable``.

    Raises:
        Unmappable: with ``reason``, if it is not JSON, or is nested deeper than Python can read.
    """
    try:
        return json.loads(value, parse_float=_decimal, parse_int=_whole, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise Unmappable(reason) from None


def json_or_unreadable(text: str) -> Any:
    """Return the value of a JSON column; ``Unreadable`` if it cannot be read."""
    try:
        return parsed(text, RejectReason.BAD_PAYLOAD)
    except Unmappable as problem:
        return Unreadable(problem.reason)


def _decimal(text: str) -> Any:
    if len(text) > MOST_DIGITS:
        return _TOO_LONG
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _TOO_LONG
    if not number:
        return Decimal(0)
    return number if abs(number.adjusted()) <= MOST_DIGITS else _TOO_LONG


def _whole(text: str) -> Any:
    return int(text) if len(text) <= MOST_DIGITS else _TOO_LONG


def _no_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
