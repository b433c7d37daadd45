"""Why a partition stands still: a closed list, told with every stop."""

from enum import StrEnum


class StopCause(StrEnum):
    """What stopped a partition; docs/runbook.md says what to do about each."""

    STORM = "STORM"
    """Too many poison records in a row, or in a window, or rows that PostgreSQL refuses by the dozen."""
    WORKER_BUG = "WORKER_BUG"
    """A bug of the hub that shows at whatever record of the partition; the stop tells where in the code."""
    LOST_RANGE = "LOST_RANGE"
    """The log does not hold the stored offset."""
    TOPIC_MADE_ANEW = "TOPIC_MADE_ANEW"
    """The topic was deleted and made again: the stored offset is one of another log."""
    DAMAGED_BATCH = "DAMAGED_BATCH"
    """Bytes of the log of which not even the records can be told apart."""
