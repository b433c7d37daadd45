"""Numbers of a source: exact, in a closed grammar, never guessed.

A number that the driver gives as a number is taken as it is. A number in text has an optional minus and ASCII digits.
It has separators only if the field declares them; spaces around it are padding. Without a declared format the
dot is the decimal point, unless it could also separate thousands: ``150.000`` is AMBIGUOUS_NUMBER, like every other
text of digits and separators. Python's own ways to write numbers (``1_500``, ``1e3``, ``+5``, ``nan``) are not
accepted.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.json_text import MOST_DIGITS
from connectors.conversion.lookalikes import Bits, Single
from connectors.conversion.plain import Unreadable
from connectors.declared.declaration import NumberFormat

Number = int | float | Decimal
_UNDECLARED = re.compile(r"-?\d+(\.\d+)?")
_MAY_BE_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
_SEPARATED = re.compile(r"-?\d[\d.,'\u2019 \u00a0\u202f]*\d", re.ASCII)
_EXACT, _EXACT_SINGLE = 2**53, 2**24
"""From here on, a number in double and in single precision may stand for several whole numbers: nobody can tell which
one the source meant."""

_LARGEST_EXPONENT = 18
"""A whole number with a larger exponent fits no field; it is not computed."""


def to_whole(form: NumberFormat | None, limit: int) -> Callable[[Any], int | None]:
    """Return the function that reads a whole number from ``-limit`` to below ``limit``; None for no value."""
    read = _reader(form)

    def convert(value: Any) -> int | None:
        number = value if value is None or value.__class__ is int else read(value)
        if number is None:
            return None
        whole = number if isinstance(number, int) else _whole(number)
        if not -limit <= whole < limit:
            raise Unmappable(RejectReason.BAD_NUMBER)
        return int(whole)

    return convert


def to_double(form: NumberFormat | None) -> Callable[[Any], float | None]:
    """Return the function that reads a number as the nearest double; None for no value."""
    read = _reader(form)

    def convert(value: Any) -> float | None:
        number = read(value)
        if number is None:
            return None
        try:
            found = float(number)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise Unmappable(RejectReason.BAD_NUMBER)
        return found

    return convert


def is_number(text: str) -> bool:
    """Tell whether text is a number as it is written, with or without a decimal point."""
    return text.isascii() and _UNDECLARED.fullmatch(text) is not None


def _whole(number: Number) -> int:
    exact = Decimal(number)
    if isinstance(number, float) and abs(number) >= (_EXACT_SINGLE if isinstance(number, Single) else _EXACT):
        raise Unmappable(RejectReason.BAD_NUMBER)
    if not exact.is_finite() or exact.adjusted() > _LARGEST_EXPONENT or exact != exact.to_integral_value():
        raise Unmappable(RejectReason.BAD_NUMBER)
    return int(exact)


def _reader(form: NumberFormat | None) -> Callable[[Any], Number | None]:
    in_text = _undeclared if form is None else partial(_declared, _pattern(form), form)

    def read(value: Any) -> Number | None:
        if value is None or value.__class__ is int or value.__class__ is float:
            return value
        if isinstance(value, Decimal | float):
            return value
        if isinstance(value, Bits):
            return int(value, 2) if value else None
        if isinstance(value, str):
            text = value.strip(" ")
            # blank text means no value, here as everywhere
            return in_text(text) if text.strip() else None
        if isinstance(value, Unreadable):
            raise Unmappable(value.reason)
        raise Unmappable(RejectReason.BAD_NUMBER)

    return read


def _undeclared(text: str) -> Number:
    if len(text) <= MOST_DIGITS and text.isascii() and _UNDECLARED.fullmatch(text):
        if _MAY_BE_THOUSANDS.fullmatch(text):
            raise Unmappable(RejectReason.AMBIGUOUS_NUMBER)
        return int(text) if "." not in text else Decimal(text)
    is_long = len(text) > MOST_DIGITS
    raise Unmappable(
        RejectReason.BAD_NUMBER if is_long or not _SEPARATED.fullmatch(text) else RejectReason.AMBIGUOUS_NUMBER
    )


def _declared(pattern: re.Pattern[str], form: NumberFormat, text: str) -> Number:
    match = pattern.fullmatch(text) if len(text) <= MOST_DIGITS else None
    if match is None:
        raise Unmappable(RejectReason.BAD_NUMBER)
    whole, fraction = match.group(1), match.group(2)
    if form.thousands:
        whole = whole.replace(form.thousands, "")
    return Decimal(f"{whole}.{fraction}") if fraction else int(whole)


def _pattern(form: NumberFormat) -> re.Pattern[str]:
    """Return the pattern of a declared format: whole part and fraction; either all thousands are separated or none."""
    whole = r"\d+"
    if form.thousands:
        # 0.500 has no thousands to separate: it is a fraction in another format
        whole = rf"[1-9]\d{{0,2}}(?:{re.escape(form.thousands)}\d{{3}})+|\d+"
    fraction = rf"(?:{re.escape(form.decimal)}(\d+))?" if form.decimal else "()"
    return re.compile(rf"(-?(?:{whole})){fraction}", re.ASCII)
