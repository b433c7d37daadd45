"""Why a partition is stopped: a closed list, reported with every stop."""

from enum import StrEnum


class StopCause(StrEnum):
    """What stopped a partition; docs/runbook.md says what to do about each."""

    STORM = "STORM"
    """Too many poison records in a row or in a window, or too many rows that PostgreSQL refuses."""
    WORKER_BUG = "WORKER_BUG"
    """A bug of the hub that occurs at every record of the partition; the stop gives the place in the code."""
    LOST_RANGE = "LOST_RANGE"
    """The log does not hold the stored offset."""
    TOPIC_MADE_ANEW = "TOPIC_MADE_ANEW"
    """The topic was deleted and recreated: the stored offset belongs to another log."""
    DAMAGED_BATCH = "DAMAGED_BATCH"
    """Bytes of the log in which not even the records can be separated."""
