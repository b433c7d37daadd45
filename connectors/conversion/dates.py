"""Dates and times of a source: text formats, partial dates, local time to UTC.

Text without a declared format must be ISO 8601, or what a database prints of a date or time. Everything else is
BAD_DATE, also what calendars or clocks have and Python has not (infinity, the year 20250, 24:00, a leap second).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.plain import plain
from connectors.declared.declaration import Part

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date as far as it is known."""

    year: int
    month: int | None = None
    day: int | None = None

    def text(self) -> str:
        """Return it in ISO 8601, with only the known parts."""
        parts = [f"{self.year:04d}"]
        parts += [f"{part:02d}" for part in (self.month, self.day) if part is not None]
        return "-".join(parts)


def local(value: datetime, zone: tzinfo) -> datetime:
    """Return a time in the source's time zone; a time without an offset is taken as local to that zone.

    Raises:
        Unmappable: BAD_DATE if the time in that zone is before the year 1 or after 9999.
    """
    if value.tzinfo is None:
        return value.replace(tzinfo=zone)
    return _in_zone(value, zone)


def _in_zone(value: datetime, zone: tzinfo) -> datetime:
    try:
        return value.astimezone(zone)
    except (OverflowError, ValueError):
        raise Unmappable(RejectReason.BAD_DATE) from None


def _utc(value: datetime, zone: tzinfo) -> datetime:
    return _in_zone(value if value.tzinfo is not None else value.replace(tzinfo=zone), UTC)


_DIGITS = {"d": r"(?P<d>\d{1,2})", "m": r"(?P<m>\d{1,2})", "Y": r"(?P<Y>\d{4})"}
_DIGITS |= {letter: rf"(?P<{letter}>\d{{2}})" for letter in "HMS"}


def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a format; directives next to each other (``%Y%m%d``) have a fixed width."""
    pieces = text.split("%")
    pattern = re.escape(pieces[0])
    for index, piece in enumerate(pieces[1:], 1):
        packed = (not piece[1:] and index + 1 < len(pieces)) or (index > 1 and not pieces[index - 1][1:])
        digits = _DIGITS[piece[0]]
        pattern += (digits.replace("{1,2}", "{2}") if packed else digits) + re.escape(piece[1:])
    return re.compile(pattern, re.ASCII)


def _found(patterns: tuple[re.Pattern[str], ...], text: str) -> dict[str, int]:
    for pattern in patterns:
        match = pattern.fullmatch(text)
        if match:
            return {name: int(digits) for name, digits in match.groupdict().items()}
    raise Unmappable(RejectReason.BAD_DATE)


def _text_of(value: Any) -> str | None:
    try:
        return plain(value)
    except Unmappable:
        raise Unmappable(RejectReason.BAD_DATE) from None


def to_partial(formats: tuple[str, ...], zone: tzinfo) -> Callable[[Any], PartialDate | None]:
    """Return the function that reads a date as far as it is known; month or day 00 means not known."""
    patterns = tuple(_pattern(text) for text in formats)

    def convert(value: Any) -> PartialDate | None:
        if isinstance(value, datetime):
            value = local(value, zone).date()
        if isinstance(value, date):
            return PartialDate(value.year, value.month, value.day)
        text = _text_of(value)
        if text is None:
            return None
        if not patterns:
            return _iso_partial(text, zone)
        found = _found(patterns, text)
        return _checked(found["Y"], found.get("m") or None, found.get("d") or None)

    return convert


def _iso_partial(text: str, zone: tzinfo) -> PartialDate:
    if len(text) > len("2000-01-01"):
        day = local(_iso_moment(text), zone).date()
        return PartialDate(day.year, day.month, day.day)
    found = _found(_ISO_DATES, text)
    return _checked(found["Y"], found.get("m") or None, found.get("d") or None)


_ISO_DATES = tuple(_pattern(text) for text in ("%Y-%m-%d", "%Y-%m", "%Y"))


def _checked(year: int, month: int | None, day: int | None) -> PartialDate:
    if month is None:
        day = None
    try:
        date(year, month or 1, day or 1)
    except ValueError:
        raise Unmappable(RejectReason.BAD_DATE) from None
    return PartialDate(year, month, day)


def to_part(part: Part, formats: tuple[str, ...], zone: tzinfo) -> Convert:
    """Return the function that takes one part of a date; None if that part is not known."""
    partial = to_partial(formats, zone)

    def convert(value: Any) -> Any:
        if value.__class__ is int and part is Part.YEAR:
            value = str(value)
        found = partial(value)
        return None if found is None else getattr(found, part)

    return convert


def to_day(formats: tuple[str, ...], zone: tzinfo) -> Convert:
    """Return the function that reads a date whose day, month and year are all known."""
    partial = to_partial(formats, zone)

    def convert(value: Any) -> Any:
        found = partial(value)
        if found is None:
            return None
        if found.month is None or found.day is None:
            raise Unmappable(RejectReason.PARTIAL_DATE)
        return date(found.year, found.month, found.day)

    return convert


_ISO_MOMENT = re.compile(
    r"(?:(\d{4})-(\d\d)-(\d\d)|(\d{4})(\d\d)(\d\d)(?=[Tt]))"
    r"(?:[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?(?: ?([Zz]|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?))?)?",
    re.ASCII,
)
"""ISO 8601, a day or a time to the nanosecond, and what databases print: a space instead of T, +07, +07:06:30."""


def _iso_moment(text: str) -> datetime:
    """Return a time, with an offset only if the text has one; digits beyond microseconds are cut off."""
    match = _ISO_MOMENT.fullmatch(text)
    if match is None:
        raise Unmappable(RejectReason.BAD_DATE)
    found = match.groups()
    day = [int(part) for part in found[0:6] if part is not None]
    clock = [int(part or 0) for part in found[6:9]]
    micros = int((found[9] or "")[:6].ljust(6, "0"))
    try:
        return datetime(*day, *clock, micros, tzinfo=_offset(*found[10:]))  # type: ignore[arg-type,misc]
    except ValueError:
        raise Unmappable(RejectReason.BAD_DATE) from None


_LAST, _FARTHEST = 59, timedelta(hours=16)
"""Offsets are at most 14 hours today, and were up to 15 hours 13 minutes before time zones (Alaska, 1867)."""


def _offset(said: str | None, sign: str | None, *parts: str | None) -> tzinfo | None:
    """Return an offset from its text and parts; raises ``ValueError`` for one that no place on earth has or had."""
    if said is None or sign is None:
        return None if said is None else UTC
    hours, minutes, seconds = (int(part or 0) for part in parts)
    size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if max(minutes, seconds) > _LAST or size > _FARTHEST:
        raise ValueError("an offset that no clock has")
    return timezone(-size if sign == "-" else size)


def to_moment(formats: tuple[str, ...], zone: tzinfo) -> Convert:
    """Return the function that reads a time as UTC; a time without an offset is local."""
    patterns = tuple(_pattern(text) for text in formats)

    def convert(value: Any) -> Any:
        if isinstance(value, datetime):
            return _utc(value, zone)
        if isinstance(value, date):
            return _utc(datetime.combine(value, time()), zone)
        text = _text_of(value)
        if text is None:
            return None
        if not patterns:
            return _utc(_iso_moment(text), zone)
        found = _found(patterns, text)
        if not found.get("m") or not found.get("d"):
            raise Unmappable(RejectReason.PARTIAL_DATE)
        clock = (found.get("H", 0), found.get("M", 0), found.get("S", 0))
        try:
            moment = datetime(found["Y"], found["m"], found["d"], *clock)  # noqa: DTZ001 - its zone comes next
        except ValueError:
            raise Unmappable(RejectReason.BAD_DATE) from None
        return _utc(moment, zone)

    return convert


def moment_or_none(value: Any, zone: tzinfo) -> datetime | None:
    """Return a value of a time column in time zone ``zone``; without an offset it is local there; None if no time."""
    try:
        moment: datetime | None = to_moment((), zone)(value)
        return None if moment is None else local(moment, zone)
    except Unmappable:
        return None
