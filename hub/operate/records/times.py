"""Times as officers write and read them: Vietnamese time; a day means the whole day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hub.model.errors import ConfigError

ZONE_NAME = "Asia/Ho_Chi_Minh"
ZONE = ZoneInfo(ZONE_NAME)


def time_of(text: str, option: str) -> datetime:
    """Return the time in UTC that a day or a time means: a day is its last microsecond; no offset means Vietnam's.

    Raises:
        ConfigError: it is neither a day nor a time.
    """
    try:
        if len(text) == len("2025-07-01"):
            day = datetime.combine(date.fromisoformat(text), time(), ZONE)
            return (day + timedelta(days=1) - timedelta(microseconds=1)).astimezone(UTC)
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError([f"{option}: a day (2025-07-01) or a time (2025-07-01T08:30, with or without offset)"]) from (
            error
        )
    return (given if given.tzinfo is not None else given.replace(tzinfo=ZONE)).astimezone(UTC)


def local(when: datetime | None, micros: bool = False) -> str:
    """Return a time as it is shown: Vietnamese time, to the second; empty if there is none."""
    if when is None:
        return ""
    return when.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S" + (".%f" if micros else ""))
