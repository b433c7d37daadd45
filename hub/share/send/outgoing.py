"""What share sends: one record for one topic, and the name under which it is set aside if necessary."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Row

from hub.model.set_aside import Refusal
from hub.topology import HEADER_ORIGIN, HEADER_REASON, dead_letter_topic

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to produce; ``value`` None is a tombstone.

    Fields:
        item: the record's name within its topic: a golden record's key, or a dead letter's origin.
        of_key: the golden record's key; None for a dead letter.
    """

    topic: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    item: str
    of_key: UUID | None = None
    headers: Headers = field(default=(), repr=False)

    @property
    def size(self) -> int:
        """Number of bytes of key, value and headers."""
        return len(self.key or b"") + len(self.value or b"") + size_of(self.headers)


Refused = list[tuple[Outgoing, Refusal]]
"""Records that cannot be published, each with its reason."""


def golden_record(topic: str, key: UUID, value: bytes | None, headers: Headers = ()) -> Outgoing:
    """Return the record of a key; ``value`` None is a tombstone."""
    return Outgoing(topic, key.bytes, value, str(key), key, headers)


def copy_of_letter(topic: str, partition: int, letter: Row[tuple[object, ...]], headers: Headers) -> Outgoing:
    """Return the copy of a dead letter for the dead-letter topic.

    Args:
        topic: where the dead letter was read.
        partition: its partition there.
        letter: a row of ``dead_letter``.
        headers: added to its reason and its origin.
    """
    origin = f"{topic}/{partition}/{letter.log_offset}"
    headers = ((HEADER_REASON, letter.reason.encode()), (HEADER_ORIGIN, origin.encode()), *headers)
    # A client refuses a record with neither key nor value, as a tombstone without key would be.
    is_nothing = letter.record_key is None and letter.record_value is None
    value = b"" if is_nothing else letter.record_value
    return Outgoing(dead_letter_topic(topic), letter.record_key, value, origin, None, headers)


def size_of(headers: Headers) -> int:
    """Return the number of bytes of names and values."""
    return sum(len(name) + len(value) for name, value in headers)
