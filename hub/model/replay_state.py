"""The states of a replay, for its commands, its plan and the archive of the log."""

from enum import StrEnum


class ReplayState(StrEnum):
    """The state of a replay.

    PLANNED: only the plan exists. FILLING: the shadow is being created; an interrupted one is created again.
    RUNNING: events are being read, or were when the process ended. READY: the shadow has read what the live warehouse
    had at the last look. SWITCHED: the replayed state is live, and the shadow holds the earlier state. UNDONE: the
    earlier state is live again. CANCELLED, DROPPED: the shadow is gone.
    """

    PLANNED = "PLANNED"
    FILLING = "FILLING"
    RUNNING = "RUNNING"
    READY = "READY"
    SWITCHED = "SWITCHED"
    UNDONE = "UNDONE"
    CANCELLED = "CANCELLED"
    DROPPED = "DROPPED"
