"""Timestamps of records: milliseconds that a producer may set to anything."""

from datetime import UTC, datetime

_LAST_MS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000)


def time_of(timestamp_ms: int) -> datetime | None:
    """Return when a record was appended; None when it says no time, or one that no clock can show."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC) if 0 <= timestamp_ms <= _LAST_MS else None
