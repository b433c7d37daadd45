"""Bytes in the log that cannot become a record: they have an offset and are processed like a record."""

from dataclasses import dataclass, field

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class OddRecord:
    """Takes the place of records that the client library refuses; has the attributes of a record.

    Fields:
        offset, end: the offsets that it covers, ``offset <= covered < end``.
        timestamp: milliseconds since 1970, if readable.
        key, value: if readable; never in a repr.
        headers: odd bytes in names that are not UTF-8 are escaped.
        why: the reason in words, without any content of the record.
        is_damage: a batch, or the rest of one, in which not even the records can be separated.
    """

    topic: str
    partition: int
    offset: int
    end: int
    timestamp: int
    why: str
    key: bytes | None = field(default=None, repr=False)
    value: bytes | None = field(default=None, repr=False)
    headers: Headers = field(default=(), repr=False)
    is_damage: bool = False


def is_damage(record: object) -> bool:
    """Tell whether this covers bytes in which not even the records can be separated."""
    return isinstance(record, OddRecord) and record.is_damage
