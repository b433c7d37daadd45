"""The wire format of every value on an event or record topic: Confluent's framing of an Avro datum.

One zero byte, the schema id as four bytes big-endian, then the bare Avro datum.
"""

import struct

from hub.model.errors import PoisonError
from hub.model.outcomes import Reason

MAGIC = 0
HEADER_BYTES = 5
_HEADER = struct.Struct(">BI")


def header(schema_id: int) -> bytes:
    """Return the five bytes before every datum written with that schema."""
    return _HEADER.pack(MAGIC, schema_id)


def frame(schema_id: int, datum: bytes) -> bytes:
    """Return a datum with its header."""
    return _HEADER.pack(MAGIC, schema_id) + datum


def unframe(value: bytes | None) -> tuple[int, bytes]:
    """Return the schema id and the datum of a value.

    Raises:
        PoisonError: TOMBSTONE for None, EMPTY for no bytes, BAD_MAGIC for a wrong first byte, NOT_DECODABLE for a
            truncated header.
    """
    if value is None:
        raise PoisonError(Reason.TOMBSTONE, "no value")
    if not value:
        raise PoisonError(Reason.EMPTY, "no bytes")
    if value[0] != MAGIC:
        raise PoisonError(Reason.BAD_MAGIC, f"first byte is {value[0]}, not {MAGIC}")
    if len(value) < HEADER_BYTES:
        raise PoisonError(Reason.NOT_DECODABLE, f"{len(value)} bytes, fewer than the header's {HEADER_BYTES}")
    _, schema_id = _HEADER.unpack_from(value)
    return schema_id, value[HEADER_BYTES:]
