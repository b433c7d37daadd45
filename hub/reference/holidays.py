"""The calendar of working days, read from data: the file beside this module, or one that an operator names."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hub.model.dossiers.working_time import Calendar, CalendarRules, Hours, calendar_of
from hub.model.errors import ConfigError

_DEFAULT = "holidays.toml"
_FIELDS = {"version", "utc_offset_hours", "first_day", "last_day", "hours", "yearly", "off"}
_OFF_FIELDS = {"name", "from", "until", "made_up_on", "certain"}
_SPAN = re.compile(r"^([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)$")
_YEARLY = re.compile(r"^(\d\d)-(\d\d)$")


@dataclass(frozen=True, slots=True)
class DaysOff:
    """Days without work that belong together. ``is_certain``: read in a published decision."""

    name: str
    first: date
    last: date
    made_up_on: date | None
    is_certain: bool

    def days(self) -> Iterator[date]:
        """Yield the days."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)


@cache
def default_calendar() -> Calendar:
    """Return the calendar that comes with the hub."""
    return parse_calendar(read_calendar_file(None), _DEFAULT)


def load_calendar(path: Path | None) -> Calendar:
    """Return the calendar of a file, or the hub's own.

    Raises:
        ConfigError: with every problem of the file.
    """
    return default_calendar() if path is None else parse_calendar(read_calendar_file(path), str(path))


def read_calendar_file(path: Path | None) -> bytes:
    """Return the bytes of a calendar's file, or of the hub's own.

    Raises:
        ConfigError: the file cannot be read.
    """
    if path is None:
        return files(__package__).joinpath(_DEFAULT).read_bytes()
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([f"calendar {path} cannot be read: {error.strerror}"]) from error


def days_off_of(raw: bytes, name: str = "calendar") -> tuple[DaysOff, ...]:
    """Return the single days off of a calendar's TOML, in its order; see ``load_calendar``."""
    document = _document(raw, name)
    return tuple(_days_off(entry) for entry in document.get("off", []))


def parse_calendar(raw: bytes, name: str = "calendar") -> Calendar:
    """Parse a calendar from the bytes of its TOML; see ``load_calendar``."""
    document = _document(raw, name)
    off = [_days_off(entry) for entry in document.get("off", [])]
    return calendar_of(
        CalendarRules(
            document["version"],
            document["utc_offset_hours"] * 3600,
            document["first_day"],
            document["last_day"],
            _hours(document["hours"]),
            frozenset((int(day[:2]), int(day[3:])) for day in document["yearly"]),
            frozenset(day for days in off for day in days.days()),
            frozenset(days.made_up_on for days in off if days.made_up_on is not None),
        )
    )


def _document(raw: bytes, name: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: not valid TOML: {error}"]) from error
    problems = [f"{name}: {problem}" for problem in _problems(document)]
    if problems:
        raise ConfigError(problems)
    return document


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted(set(document) ^ _FIELDS):
        if field not in _FIELDS:
            yield f"unknown field {field!r}"
        elif field != "off":
            yield f"{field} is missing"
    if not isinstance(document.get("version", "-"), str):
        yield "version must be a text"
    if not isinstance(document.get("utc_offset_hours", 0), int):
        yield "utc_offset_hours must be a whole number"
    if not _are_days(document, "first_day", "last_day"):
        yield "first_day and last_day must be dates, the first before the last"
    yield from _problems_of_hours(document.get("hours", ["00:00-01:00"]))
    yearly = document.get("yearly", [])
    if not isinstance(yearly, list) or not all(isinstance(day, str) and _YEARLY.match(day) for day in yearly):
        yield "yearly must be a list of MM-DD"
    for number, entry in enumerate(document.get("off", []), 1):
        yield from (f"off number {number}: {problem}" for problem in _problems_of_days(entry))


def _are_days(entry: Mapping[str, Any], first: str, last: str) -> bool:
    days = [entry.get(first, date.min), entry.get(last, date.max)]
    return all(isinstance(day, date) and not isinstance(day, datetime) for day in days) and days[0] <= days[1]


def _problems_of_hours(hours: object) -> Iterator[str]:
    if not isinstance(hours, list) or not 1 <= len(hours) <= 2:
        yield "hours must be one or two spans"
        return
    if not all(isinstance(span, str) and _SPAN.match(span) for span in hours):
        yield "hours must be written 07:30-11:30"
        return
    spans = _hours(hours)
    if not spans.opens < spans.rests <= spans.resumes <= spans.closes <= 86_400:
        yield "hours must follow one another within a day"


def _problems_of_days(entry: object) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "is no table"
        return
    yield from (f"unknown field {field!r}" for field in sorted(set(entry) - _OFF_FIELDS))
    yield from (f"{field} is missing" for field in sorted(_OFF_FIELDS - {"made_up_on"} - set(entry)))
    if not _are_days(entry, "from", "until"):
        yield "from and until must be dates, the first not after the last"
    if not isinstance(entry.get("made_up_on", date.min), date):
        yield "made_up_on must be a date"


def _hours(spans: list[str]) -> Hours:
    """Offices with one span rest and resume when they close."""
    times = []
    for span in spans:
        found = _SPAN.match(span)
        assert found is not None  # noqa: S101 - checked by _problems_of_hours
        parts = [int(part) for part in found.groups()]
        times += [parts[0] * 3600 + parts[1] * 60, parts[2] * 3600 + parts[3] * 60]
    return Hours(*times, *times[1:] * (2 if len(times) == 2 else 0))


def _days_off(entry: Mapping[str, Any]) -> DaysOff:
    return DaysOff(entry["name"], entry["from"], entry["until"], entry.get("made_up_on"), entry["certain"])
