"""Why a row could not become an event."""

from enum import StrEnum


class RejectReason(StrEnum):
    """Why a row could not become an event: a closed list, stored with the reject."""

    REQUIRED_MISSING = "REQUIRED_MISSING"
    UNMAPPED_WORD = "UNMAPPED_WORD"
    BAD_DATE = "BAD_DATE"
    PARTIAL_DATE = "PARTIAL_DATE"
    BAD_NUMBER = "BAD_NUMBER"
    AMBIGUOUS_NUMBER = "AMBIGUOUS_NUMBER"
    BAD_BOOLEAN = "BAD_BOOLEAN"
    BAD_TEXT = "BAD_TEXT"
    BAD_LIST = "BAD_LIST"
    BAD_PAYLOAD = "BAD_PAYLOAD"
    VERSION_MISSING = "VERSION_MISSING"
    TIME_MISSING = "TIME_MISSING"
    BAD_VERSION = "BAD_VERSION"
    TIME_IN_FUTURE = "TIME_IN_FUTURE"
    INVALID_VALUE = "INVALID_VALUE"
    LEADING_ZEROS_LOST = "LEADING_ZEROS_LOST"
    BAD_VALUE = "BAD_VALUE"
    NOT_ENCODABLE = "NOT_ENCODABLE"
    TOO_LARGE = "TOO_LARGE"
    TOO_LONG = "TOO_LONG"
    KEY_MISSING = "KEY_MISSING"
    KEY_SHARED = "KEY_SHARED"
    SOURCE_CANNOT_READ = "SOURCE_CANNOT_READ"
    FIELD_DROPPED = "FIELD_DROPPED"
    """The row became an event, without an optional value: kept beside the rejects, so that its text can be found."""


UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors that an unexpected value may raise while it is converted. Its row becomes BAD_VALUE; other rows go on."""


class Unmappable(Exception):
    """A row that cannot become an event: the reason, and the field it is about (None: the whole row).

    ``why``: what is noted of the value where the row becomes one without it.
    """

    def __init__(self, reason: RejectReason, field: str | None = None, why: str | None = None) -> None:
        super().__init__(f"{reason} {field or ''}".strip())
        self.reason = reason
        self.field = field
        self.why = why or reason.value
