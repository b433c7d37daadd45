"""Working time: how long the offices were open between two moments, and when a given working time is over.

A calendar says for each day when the offices are open; it is data with a version (hub.reference.holidays). All
computation is in whole seconds, on a scale that counts working seconds from the calendar's first day. The time between
two moments is the difference between their places on that scale. hub.warehouse.working_time does the same in SQL; a
test compares the two.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Hours:
    """When the offices are open on a day, in seconds since local midnight: morning and afternoon.

    Offices without a break rest and resume at the same second. A day off opens, rests, resumes and closes at 0.
    """

    opens: int
    rests: int
    resumes: int
    closes: int

    @property
    def seconds(self) -> int:
        """Working time of the day."""
        return self.rests - self.opens + self.closes - self.resumes

    def before(self, second: int) -> int:
        """Return the working time of the day until a second of it."""
        return max(0, min(second, self.rests) - self.opens) + max(0, min(second, self.closes) - self.resumes)

    def after(self, worked: int) -> int:
        """Return the first second of the day at which ``worked`` seconds were worked; ``0 < worked <= seconds``."""
        morning = self.rests - self.opens
        return self.opens + worked if worked <= morning else self.resumes + worked - morning


DAY_OFF = Hours(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working days from ``first_day`` on, one entry of ``days`` each.

    Before the first day and after the last no time is worked: to compute there, extend the calendar.
    """

    version: str
    utc_offset_s: int
    first_day: date
    days: tuple[Hours, ...]
    _before: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sums = accumulate((hours.seconds for hours in self.days), initial=0)
        object.__setattr__(self, "_before", tuple(sums))

    @property
    def last_day(self) -> date:
        """The calendar's last day."""
        return self.first_day + timedelta(days=len(self.days) - 1)

    @property
    def total_seconds(self) -> int:
        """Working time of all its days."""
        return self._before[-1]

    def each_day(self) -> Iterable[tuple[date, int, Hours]]:
        """Yield each day with the working time before it and its hours."""
        for number, hours in enumerate(self.days):
            yield self.first_day + timedelta(days=number), self._before[number], hours

    def place(self, at: datetime) -> int:
        """Return the working seconds from the calendar's beginning until a moment."""
        day, second = divmod(self._local_second(at), _DAY_S)
        number = day - (self.first_day - _EPOCH_DAY).days
        if number < 0:
            return 0
        if number >= len(self.days):
            return self.total_seconds
        return self._before[number] + self.days[number].before(second)

    def moment(self, place: int) -> datetime | None:
        """Return the first moment at which ``place`` seconds (at least one) were worked; None: after the last day."""
        if place > self.total_seconds:
            return None
        number = bisect_left(self._before, place) - 1
        second = self.days[number].after(place - self._before[number])
        return self.midnight(self.first_day + timedelta(days=number)) + timedelta(seconds=second)

    def midnight(self, day: date) -> datetime:
        """Return the moment at which a local day begins."""
        return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(seconds=self.utc_offset_s)

    def second_of_day(self, at: datetime) -> int:
        """Return the local time of day of a moment, in whole seconds."""
        return self._local_second(at) % _DAY_S

    def next_midnight(self, at: datetime) -> datetime:
        """Return the beginning of the local day after a moment's day."""
        day = self._local_second(at) // _DAY_S + 1
        return self.midnight(_EPOCH_DAY + timedelta(days=day))

    def _local_second(self, at: datetime) -> int:
        return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) + self.utc_offset_s


def working_seconds(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Return the working time between two moments; 0 if the second is not after the first."""
    return max(0, calendar.place(end) - calendar.place(start))


def due_after(calendar: Calendar, start: datetime, seconds: int) -> datetime | None:
    """Return when a working time after a start is over; None if the calendar ends before."""
    return start if seconds <= 0 else calendar.moment(calendar.place(start) + seconds)


@dataclass(frozen=True, slots=True)
class CalendarRules:
    """The data from which a calendar is built.

    Fields:
        version: identifies exactly this content; different content needs a different version.
        first_day, last_day: the days that it covers.
        hours: of a working day.
        yearly: (month, day) of holidays that are on the same day every year.
        days_off: single days without work.
        make_up_days: Saturdays and Sundays on which people work in place of a day off.
    """

    version: str
    utc_offset_s: int
    first_day: date
    last_day: date
    hours: Hours
    yearly: Collection[tuple[int, int]]
    days_off: Collection[date]
    make_up_days: Collection[date]


def calendar_of(rules: CalendarRules) -> Calendar:
    """Build the days: Monday to Friday except holidays, plus the make-up days."""
    count = (rules.last_day - rules.first_day).days + 1
    days = (rules.first_day + timedelta(days=number) for number in range(count))
    return Calendar(
        rules.version,
        rules.utc_offset_s,
        rules.first_day,
        tuple(rules.hours if _is_worked(rules, day) else DAY_OFF for day in days),
    )


def _is_worked(rules: CalendarRules, day: date) -> bool:
    if day in rules.make_up_days:
        return True
    return day.weekday() < _SATURDAY and (day.month, day.day) not in rules.yearly and day not in rules.days_off
