"""Working time and deadlines: the calendar's data, and the arithmetic on it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model.dossiers.deadline import Deadline, deadline, is_interlinked
from hub.model.dossiers.status import BY_CODE, Status, Version
from hub.model.dossiers.working_time import Calendar, due_after, working_seconds
from hub.model.envelope import Operation
from hub.model.errors import ConfigError
from hub.reference.holidays import days_off_of, default_calendar, load_calendar, parse_calendar

CALENDAR = default_calendar()
HOUR = 3600
_ZONE = timedelta(hours=7)


def at(text: str) -> datetime:
    """A local time, e.g. ``2026-03-02 08:30``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) - _ZONE


def local(time: datetime | None) -> str | None:
    return None if time is None else (time + _ZONE).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-03-02 08:00", "2026-03-02 10:00", 2),
        ("2026-03-02 08:30", "2026-03-02 14:00", 4),
        ("2026-03-02 06:00", "2026-03-02 20:00", 8),
        ("2026-03-06 16:00", "2026-03-09 08:30", 2),
        ("2026-03-07 08:00", "2026-03-08 17:00", 0),
        ("2026-03-02 10:00", "2026-03-02 09:00", 0),
        ("2026-02-13 13:00", "2026-02-23 11:30", 8),
        ("2025-04-25 07:30", "2025-04-26 17:00", 16),
        ("2025-04-29 07:30", "2025-05-05 07:30", 8),
        ("2024-05-03 07:30", "2024-05-06 07:30", 16),
    ],
    ids=[
        "morning",
        "over noon",
        "a day",
        "weekend",
        "no work",
        "backwards",
        "Tet",
        "made up",
        "30 April",
        "made up 4/5",
    ],
)
def test_working_seconds(start: str, end: str, hours: int) -> None:
    assert working_seconds(CALENDAR, at(start), at(end)) == hours * HOUR


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-03-02 08:00", 2, "2026-03-02 10:00"),
        ("2026-03-02 10:30", 2, "2026-03-02 14:00"),
        ("2026-03-02 07:30", 4, "2026-03-02 11:30"),
        ("2026-03-02 07:30", 8, "2026-03-02 17:00"),
        ("2026-03-06 16:00", 2, "2026-03-09 08:30"),
        ("2026-03-07 22:00", 24, "2026-03-11 17:00"),
        ("2026-02-13 16:00", 1, "2026-02-13 17:00"),
        ("2026-02-13 16:00", 2, "2026-02-23 08:30"),
        ("2026-03-02 23:00", 0, "2026-03-02 23:00"),
    ],
)
def test_due_after(start: str, hours: int, due: str) -> None:
    assert local(due_after(CALENDAR, at(start), hours * HOUR)) == due


def test_nothing_is_worked_outside_the_calendar() -> None:
    assert working_seconds(CALENDAR, at("1999-03-01 07:30"), at("1999-03-05 17:00")) == 0
    assert due_after(CALENDAR, at("2035-12-31 16:00"), 2 * HOUR) is None
    assert local(due_after(CALENDAR, at("2035-12-31 16:00"), HOUR)) == "2035-12-31 17:00"


def test_fraction_of_a_second_is_left_out() -> None:
    start = at("2026-03-02 08:00") + timedelta(microseconds=999_999)
    assert working_seconds(CALENDAR, start, at("2026-03-02 08:01")) == 60


moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone


def counted(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Working time by walking over the days."""
    seconds, day = 0, (start + _ZONE).date()
    while day <= (end + _ZONE).date():
        hours = calendar.days[(day - calendar.first_day).days]
        midnight = calendar.midnight(day)
        for opens, closes in ((hours.opens, hours.rests), (hours.resumes, hours.closes)):
            first = max(start, midnight + timedelta(seconds=opens))
            last = min(end, midnight + timedelta(seconds=closes))
            seconds += max(0, int((last - first).total_seconds()))
        day += timedelta(days=1)
    return seconds


@given(start=moments, hours=st.integers(0, 400))
def test_working_seconds_are_those_of_walking_over_the_days(start: datetime, hours: int) -> None:
    start = start.replace(microsecond=0)
    end = start + timedelta(hours=hours)
    assert working_seconds(CALENDAR, start, end) == counted(CALENDAR, start, end)


@given(start=moments, seconds=st.integers(1, 40 * 8 * HOUR))
def test_due_after_is_the_first_moment_by_which_so_much_was_worked(start: datetime, seconds: int) -> None:
    start = start.replace(microsecond=0)
    due = due_after(CALENDAR, start, seconds)
    assert due is not None
    assert working_seconds(CALENDAR, start, due) == seconds
    assert working_seconds(CALENDAR, start, due - timedelta(seconds=1)) == seconds - 1


def test_calendar_says_which_days_are_not_certain() -> None:
    from importlib.resources import files

    days = days_off_of(files("hub.reference").joinpath("holidays.toml").read_bytes())
    assert {each.first.year for each in days} == {2024, 2025, 2026, 2027}
    assert {each.first for each in days if not each.is_certain} >= {date(2027, 2, 5)}
    assert all(each.made_up_on.weekday() >= 5 for each in days if each.made_up_on)


SMALL = b"""
version = "test"
utc_offset_hours = 7
first_day = 2026-03-02
last_day = 2026-03-08
hours = ["08:00-16:00"]
yearly = ["03-03"]
[[off]]
name = "x"
from = 2026-03-04
until = 2026-03-05
made_up_on = 2026-03-08
certain = true
"""


def test_calendar_is_read_from_a_file_of_ones_own() -> None:
    small = parse_calendar(SMALL)
    assert [hours.seconds // HOUR for hours in small.days] == [8, 0, 0, 0, 8, 0, 8]
    assert local(due_after(small, at("2026-03-02 12:00"), 8 * HOUR)) == "2026-03-06 12:00"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"version", b"edition", "unknown field 'edition'"),
        (b'"08:00-16:00"', b'"16:00-08:00"', "hours must follow"),
        (b'"08:00-16:00"', b'"8-16"', "hours must be written"),
        (b"last_day = 2026-03-08", b"last_day = 2026-03-01", "first_day and last_day"),
        (b'"03-03"', b'"3 March"', "yearly"),
        (b"certain = true", b"", "certain is missing"),
        (b"until = 2026-03-05", b"until = 2026-03-03", "from and until"),
        (b"[[off]]", b"[[off", "not valid TOML"),
    ],
)
def test_calendar_is_refused_with_its_problem(old: bytes, new: bytes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("[", r"\[")):
        parse_calendar(SMALL.replace(old, new))


def test_missing_calendar_is_a_config_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_calendar(tmp_path_factory.getbasetemp() / "none.toml")


def told(version: int, code: int, time: str, **more: str | None) -> Version:
    times = {name: at(text) for name, text in more.items() if text and name != "operation"}
    operation = Operation(more.get("operation") or "UPDATE")
    status = BY_CODE[code] if code else Status.UNKNOWN
    return Version(1, version, at(time), status, operation, None, **times)


def reckoned(versions: Sequence[Version], interlinked: bool = False) -> Deadline:
    found = deadline(versions, CALENDAR, interlinked)
    assert found is not None
    return found


RECEIVED = told(1, 2, "2026-03-02 08:00", received_at="2026-03-02 08:00", due_at="2026-03-06 17:00")


def test_open_dossier_has_a_due_time_and_nothing_more() -> None:
    found = reckoned([RECEIVED, told(2, 4, "2026-03-03 08:00")])
    assert (found.calendar_version, local(found.due_at)) == (CALENDAR.version, "2026-03-06 17:00")
    assert (found.finished_at, found.on_time, found.overdue_seconds, found.used_seconds) == (None, None, None, None)


@pytest.mark.parametrize(
    ("end", "overdue", "used"),
    [
        ("2026-03-06 17:00", 0, 39.5),
        ("2026-03-07 12:00", 0, 39.5),
        ("2026-03-09 08:30", 1, 40.5),
    ],
)
def test_dossier_is_on_time_when_nothing_was_worked_between_due_and_end(end: str, overdue: int, used: float) -> None:
    found = reckoned([RECEIVED, told(2, 9, end)])
    assert (found.on_time, found.overdue_seconds) == (overdue == 0, overdue * HOUR)
    assert found.used_seconds == used * HOUR


def test_clock_stands_still_while_the_applicant_is_asked() -> None:
    versions = [
        RECEIVED,
        told(2, 5, "2026-03-03 07:30"),
        told(3, 4, "2026-03-04 07:30"),
        told(4, 6, "2026-03-06 13:00"),
    ]
    waiting = reckoned(versions)
    assert (waiting.paused_seconds, local(waiting.paused_since)) == (8 * HOUR, "2026-03-06 13:00")
    assert local(waiting.due_at) == "2026-03-09 17:00"
    found = reckoned([*versions, told(5, 4, "2026-03-09 09:30"), told(6, 9, "2026-03-10 15:00")])
    assert found.paused_since is None
    assert (found.paused_seconds, local(found.due_at), found.on_time) == (14 * HOUR, "2026-03-10 15:00", True)


def test_due_time_stated_anew_counts_the_pauses_before_it() -> None:
    versions = [
        RECEIVED,
        told(2, 5, "2026-03-03 07:30"),
        told(3, 4, "2026-03-04 07:30", due_at="2026-03-09 17:00"),
        told(4, 5, "2026-03-05 07:30"),
        told(5, 4, "2026-03-05 11:30"),
    ]
    found = reckoned(versions)
    assert (local(found.stated_due_at), local(found.due_at)) == ("2026-03-09 17:00", "2026-03-10 11:30")
    assert [(local(each.old), local(each.new), each.at) for each in found.extensions] == [
        ("2026-03-06 17:00", "2026-03-09 17:00", (1, 3))
    ]


def test_pause_after_the_due_time_helps_nobody() -> None:
    found = reckoned(
        [RECEIVED, told(2, 5, "2026-03-09 09:30"), told(3, 4, "2026-03-16 09:30"), told(4, 9, "2026-03-16 10:30")]
    )
    assert local(found.due_at) == "2026-03-06 17:00"
    assert found.on_time is False
    # One pause before the due time puts it off; one that begins after the new due time does not.
    found = reckoned(
        [RECEIVED, told(2, 5, "2026-03-06 13:00"), told(3, 4, "2026-03-09 07:30"), told(4, 6, "2026-03-10 07:30")]
    )
    assert local(found.due_at) == "2026-03-09 11:30"


def test_end_is_what_the_source_says_else_when_it_said_so() -> None:
    assert local(reckoned([RECEIVED, told(2, 9, "2026-03-05 09:00"), told(3, 10, "2026-03-09 09:00")]).finished_at) == (
        "2026-03-05 09:00"
    )
    said = [RECEIVED, told(2, 9, "2026-03-05 09:00", finished_at="2026-03-04 16:00"), told(3, 10, "2026-03-09 09:00")]
    assert local(reckoned(said).finished_at) == "2026-03-04 16:00"
    assert reckoned([*said, told(4, 4, "2026-03-10 09:00")]).finished_at is None
    assert local(reckoned([*said, told(4, 4, "2026-03-10 09:00"), told(5, 9, "2026-03-11 09:00")]).finished_at) == (
        "2026-03-11 09:00"
    )


def test_interlinked_dossier_received_late_counts_from_the_next_day() -> None:
    early = told(1, 2, "2026-03-06 14:59", received_at="2026-03-06 14:59")
    late = told(1, 2, "2026-03-06 15:00", received_at="2026-03-06 15:00")
    assert local(reckoned([early], interlinked=True).due_at) == "2026-03-11 14:59"
    assert local(reckoned([late], interlinked=True).due_at) == "2026-03-11 17:00"
    assert local(reckoned([late], interlinked=True).started_at) == "2026-03-07 00:00"
    assert local(reckoned([late]).started_at) == "2026-03-06 15:00"
    assert reckoned([late]).due_at is None


@pytest.mark.parametrize(
    ("code", "linked"),
    [("2.002621", True), ("2.002622.000.00.00.H42", True), ("2.002623", False), (None, False)],
)
def test_interlinked_procedures_are_known_by_their_first_characters(code: str | None, linked: bool) -> None:
    assert is_interlinked(code) is linked


def test_what_was_taken_back_does_not_count() -> None:
    assert deadline([RECEIVED, told(2, 4, "2026-03-03 08:00", operation="REVOKE")], CALENDAR, False) is None
    again = told(3, 2, "2026-03-04 08:00", received_at="2026-03-04 08:00")
    found = reckoned([RECEIVED, told(2, 4, "2026-03-03 08:00", operation="REVOKE"), again])
    assert (local(found.received_at), found.due_at, found.extensions) == ("2026-03-04 08:00", None, ())


def test_clock_of_a_source_that_steps_back_makes_no_time_twice() -> None:
    versions = [
        RECEIVED,
        told(2, 5, "2026-03-04 07:30"),
        told(3, 6, "2026-03-03 07:30"),
        told(4, 4, "2026-03-05 07:30"),
    ]
    assert reckoned(versions).paused_seconds == 8 * HOUR
