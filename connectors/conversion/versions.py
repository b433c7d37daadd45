"""The version of a row: which column holds it, as a number that the hub accepts.

A whole number is taken as it is; a time becomes microseconds since 1970. A time before 1970 means that nobody recorded
the time of change: the row is older than every row that has a time, and its version is 0. A time far in the future
comes from a wrong clock. As a version it would make everything until then look old, so the row is a reject until it is
corrected.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from operator import itemgetter
from typing import Any

from connectors.base.reasons import RejectReason, Unmappable
from connectors.conversion.dates import to_moment
from connectors.conversion.getters import Get
from connectors.conversion.numbers import to_whole
from connectors.declared.declaration import Kind, Stream
from hub.model.values.bounds import LEAST_MOMENT, OUT_OF_YEARS

MOST_VERSION = 2**63 - 1
"""The hub holds versions in 64 bits with a sign."""

MOST_READ = 10**19
"""A whole number with more digits than this is not read as one."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)

Timely = Callable[[Any], datetime | None]


def timely_within(tolerance_s: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Timely:
    """Return the function that checks a time of change and returns it; it raises ``Unmappable`` for an impossible one.

    Args:
        tolerance_s: how many seconds the source's clock may be ahead.
        now: returns the present time.
    """
    tolerance = timedelta(seconds=tolerance_s)

    def timely(moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if moment > now() + tolerance:
            raise Unmappable(RejectReason.TIME_IN_FUTURE, "occurred_at")
        if moment < LEAST_MOMENT:
            raise Unmappable(RejectReason.INVALID_VALUE, f"occurred_at: {OUT_OF_YEARS}")
        return moment

    return timely


def version_column(stream: Stream) -> str | None:
    """Return the column that holds a row's version; None if there is none."""
    return stream.version or (stream.key[0] if stream.kind is Kind.OUTBOX else stream.changed_at)


def version_getter(stream: Stream, index: Mapping[str, int], zone: tzinfo, timely: Timely) -> Get:
    """Return the function that reads a row's version, None if the source has none; it raises ``Unmappable``.

    Args:
        stream: declares the column.
        index: place of each column in a row.
        zone: the source's time zone.
        timely: checks a time of change and returns it.
    """
    column = version_column(stream)
    get, moment = itemgetter(index[column or ""]), to_moment((), zone)
    is_time = column == stream.changed_at
    whole_number = to_whole(None, MOST_READ)

    def version(row: Any) -> int | None:
        value = get(row)
        if is_time or isinstance(value, date) or _is_like_a_time(value):
            when = timely(moment(value))
            return None if when is None else max(0, (when - _EPOCH) // _MICROSECOND)
        number = whole_number(value)
        if number is not None and not 0 <= number <= MOST_VERSION:
            raise Unmappable(RejectReason.BAD_VERSION, f"source_version: not between 0 and {MOST_VERSION}")
        return number

    return version


def _is_like_a_time(value: Any) -> bool:
    """Tell whether text is not a number but perhaps a time: SQLite has no type for times."""
    return isinstance(value, str) and "-" in value.strip()[1:]
