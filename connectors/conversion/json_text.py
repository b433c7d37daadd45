"""JSON of a source: numbers exact and of a sensible size, and nothing that JSON has not."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.plain import Unreadable

MOST_DIGITS = 400
"""No field holds a longer number. A number is never worked out only to be found too long."""

_TOO_LONG = Unreadable(RejectReason.BAD_NUMBER)


def parsed(value: str | bytes | bytearray, reason: RejectReason) -> Any:
    """Return what a JSON text holds; a number beyond all fields is ``Unreadable``.

    Raises:
        Unmappable: for the reason given: no JSON, or nested deeper than Python follows.
    """
    try:
        return json.loads(value, parse_float=_decimal, parse_int=_whole, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise Unmappable(reason) from None


def json_or_unreadable(text: str) -> Any:
    """Return what a JSON column holds, ``Unreadable`` where that cannot be read."""
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
    raise ValueError(f"{text} is no JSON")
