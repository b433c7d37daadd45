"""Errors whose type decides what happens next (docs/invariants.md, the table of errors).

Every error pickles with all its fields and carries a stable code. No message holds personal data (I8).
"""

from collections.abc import Sequence


class HubError(Exception):
    """Base of the hub's errors: a message for people and a stable code."""

    code = "HUB"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RetryableError(HubError):
    """A server or the network is at fault: the same batch will work later; offsets are kept."""

    code = "RETRYABLE"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type["RetryableError"], tuple[str, float]]:
        return (type(self), (self.message, self.retry_after_s))


class UnreachableError(RetryableError):
    """A broker or database cannot be reached; short commands end with exit code 3."""

    code = "UNREACHABLE"


class ConcurrentUpdateError(HubError):
    """Another worker holds this partition: roll back and seek to the stored offset."""

    code = "CONCURRENT_UPDATE"


class PoisonError(HubError):
    """These bytes can never work: dead letter, in the batch's transaction."""

    code = "POISON"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["PoisonError"], tuple[str, str]]:
        return (type(self), (self.reason, self.detail))


class DeadLetterLimitError(HubError):
    """Too many poison records: the hub is at fault; the partition stops and an alert opens.

    ``refused``: number of the log partition, offset and reason of each of them.
    """

    code = "DEAD_LETTER_LIMIT"

    def __init__(self, message: str, refused: Sequence[tuple[int, int, str]] = ()) -> None:
        super().__init__(message)
        self.refused = tuple(refused)

    def __reduce__(self) -> tuple[type["DeadLetterLimitError"], tuple[str, tuple[tuple[int, int, str], ...]]]:
        return (type(self), (self.message, self.refused))


class LostRangeError(HubError):
    """The log no longer holds (or never held) the stored offset: records would be skipped, so the worker stops."""

    code = "LOST_RANGE"


class ConfigError(HubError):
    """The operator's mistake: refuse to start and list every problem at once."""

    code = "CONFIG"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[tuple[str, ...]]]:
        return (type(self), (self.problems,))


class NotMigratedError(ConfigError):
    """The tables or the first policy do not exist, and only an owner may create them; long-running processes wait."""

    code = "NOT_MIGRATED"


class NothingComposedError(RetryableError):
    """Not a single record of one name can be composed: the hub or the warehouse is at fault; its topic is blocked."""

    code = "NOTHING_COMPOSED"
