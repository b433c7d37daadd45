"""The possible outcomes of an event, and the reasons.

The seven outcomes are exhaustive: every record that is read gets exactly one of them (I5).
"""

from enum import StrEnum


class Outcome(StrEnum):
    """The outcome of one event (docs/operator.md explains each)."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    STALE = "stale"
    PARKED = "parked"
    REJECTED = "rejected"
    DEAD_LETTERED = "dead_lettered"


class Reason(StrEnum):
    """Why an event was rejected, dead-lettered or parked: a closed list, shown to operators and counted per source."""

    # can never be read
    UNREADABLE_RECORD = "UNREADABLE_RECORD"
    TOMBSTONE = "TOMBSTONE"
    EMPTY = "EMPTY"
    TOO_LARGE = "TOO_LARGE"
    BAD_MAGIC = "BAD_MAGIC"
    UNKNOWN_SCHEMA_ID = "UNKNOWN_SCHEMA_ID"
    WRONG_SUBJECT = "WRONG_SUBJECT"
    NOT_DECODABLE = "NOT_DECODABLE"
    TRAILING_BYTES = "TRAILING_BYTES"
    DECODER_TIMEOUT = "DECODER_TIMEOUT"
    DECODER_CRASH = "DECODER_CRASH"
    # read, but inconsistent
    INVALID_VALUE = "INVALID_VALUE"
    KEY_MISMATCH = "KEY_MISMATCH"
    # readable, but a bug of the hub prevents it
    WORKER_BUG = "WORKER_BUG"
    # refused by policy
    SOURCE_UNKNOWN = "SOURCE_UNKNOWN"
    SOURCE_NOT_ALLOWED = "SOURCE_NOT_ALLOWED"
    BEFORE_START = "BEFORE_START"
    AFTER_CUT_OVER = "AFTER_CUT_OVER"
    VERSION_REUSED = "VERSION_REUSED"
    # refused by an operator
    SKIPPED_BY_OPERATOR = "SKIPPED_BY_OPERATOR"
    # refused by two people
    DISCARDED = "DISCARDED"
    # waits
    REFERENCE_MISSING = "REFERENCE_MISSING"
    TIME_IN_FUTURE = "TIME_IN_FUTURE"


_REJECTED = frozenset(
    {
        Reason.SOURCE_UNKNOWN,
        Reason.SOURCE_NOT_ALLOWED,
        Reason.BEFORE_START,
        Reason.AFTER_CUT_OVER,
        Reason.VERSION_REUSED,
        Reason.SKIPPED_BY_OPERATOR,
        Reason.DISCARDED,
    }
)

OUTCOME_OF_REASON: dict[Reason, Outcome] = {
    **dict.fromkeys(Reason, Outcome.DEAD_LETTERED),
    **dict.fromkeys(_REJECTED, Outcome.REJECTED),
    Reason.REFERENCE_MISSING: Outcome.PARKED,
    Reason.TIME_IN_FUTURE: Outcome.PARKED,
}
"""The outcome that belongs to a reason; every reason has one."""
