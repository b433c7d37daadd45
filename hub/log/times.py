"""Timestamps of records, in milliseconds; a producer may set them to anything."""

from datetime import UTC, datetime

_LAST_MS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000)


def time_of(timestamp_ms: int) -> datetime | None:
    """Return when a record was appended; None if the timestamp is missing or outside the years 1970 to 9999."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC) if 0 <= timestamp_ms <= _LAST_MS else None
