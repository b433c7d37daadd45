"""Why share sets a single record aside: all others continue, and an operator is told which one it is."""

from dataclasses import dataclass
from enum import StrEnum


class SetAside(StrEnum):
    """Reasons; ``docs/operator.md`` explains each."""

    TOO_LARGE = "TOO_LARGE"
    """The record is larger than its topic accepts."""
    NOT_ENCODABLE = "NOT_ENCODABLE"
    """The record's schema refuses a value."""
    NOT_COMPOSED = "NOT_COMPOSED"
    """Composing the record failed: a fault of the hub, or a damaged row."""
    REFUSED_BY_BROKER = "REFUSED_BY_BROKER"
    """The broker refuses the record, but accepts others."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one record is set aside; ``detail`` has sizes, field names and places in the code, and no values (I8)."""

    reason: SetAside
    detail: str
    value_bytes: int | None = None
