"""What stands in the log and cannot be turned into a record as it is: it has a place, and goes its way as one."""

from dataclasses import dataclass, field

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class OddRecord:
    """Takes the place of records that a client library refuses; has the attributes of a record.

    Fields:
        offset, end: what it stands for, ``offset <= place < end``.
        timestamp: milliseconds since 1970, as far as it can be told.
        key, value: as far as they can be told; never in a repr.
        headers: names that are not UTF-8 have their odd bytes escaped.
        why: in words, without anything of the record's content.
        is_damage: a batch, or the rest of one, of which not even the records can be told apart.
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
    """Tell whether this stands for bytes of which not even the records can be told apart."""
    return isinstance(record, OddRecord) and record.is_damage
