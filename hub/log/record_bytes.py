"""Parse the records of one batch one by one, if the client library refuses the batch.

Kafka's record format, version 2: each record begins with its length, so an invalid record does not hide the next one.
See "Record" in Kafka's documentation of its message format.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hub.log.decompress import DamageError
from hub.log.odd import Headers

_VARINT_BITS = 64


class _RecordError(Exception):
    """A record is inconsistent; the message says how."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """A record; offset and timestamp are relative to the batch's. ``why``: what is wrong with it, else empty."""

    offset_delta: int
    timestamp_delta: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    why: str = ""


def records_in(content: bytes, count: int) -> Iterator[ByHand]:
    """Yield ``count`` records of a batch's decompressed content.

    Raises:
        DamageError: the beginning or end of the next record cannot be found.
    """
    at = 0
    for number in range(count):
        try:
            length, at = _varint(content, at, len(content))
        except _RecordError as error:
            raise DamageError(f"record {number + 1} of {count} has no length") from error
        if not 0 <= length <= len(content) - at:
            raise DamageError(f"record {number + 1} of {count} gives a length beyond the end of the batch")
        yield _record(content, at, at + length, number)
        at += length
    if at < len(content):
        raise DamageError(f"bytes follow its {count} records")


def _record(content: bytes, at: int, end: int, number: int) -> ByHand:
    timestamp = 0
    offset = number
    key: bytes | None = None
    value: bytes | None = None
    try:
        timestamp, at = _varint(content, at + 1, end)
        offset, at = _varint(content, at, end)
        key, at = _bytes(content, at, end, "key")
        value, at = _bytes(content, at, end, "value")
        headers, odd = _headers(content, at, end)
    except _RecordError as error:
        return ByHand(offset, timestamp, key, value, (), str(error))
    return ByHand(offset, timestamp, key, value, headers, odd)


def _headers(content: bytes, at: int, end: int) -> tuple[Headers, str]:
    """Return the headers, and which of them has an invalid name."""
    count, at = _varint(content, at, end)
    if not 0 <= count <= end - at:
        raise _RecordError("it gives more headers than it can hold")
    headers: list[tuple[str, bytes | None]] = []
    odd = ""
    for number in range(count):
        name, at = _bytes(content, at, end, "header's name")
        if name is None:
            raise _RecordError(f"header {number + 1} has no name")
        value, at = _bytes(content, at, end, "header's value")
        try:
            text = name.decode()
        except UnicodeDecodeError:
            text = name.decode(errors="backslashreplace")
            odd = odd or f"the name of header {number + 1} is not UTF-8"
        headers.append((text, value))
    if at != end:
        odd = odd or "bytes follow its headers"
    return tuple(headers), odd


def _bytes(content: bytes, at: int, end: int, what: str) -> tuple[bytes | None, int]:
    length, at = _varint(content, at, end)
    if length < 0:
        return None, at
    if length > end - at:
        raise _RecordError(f"its {what} gives a length beyond the end of the record")
    return content[at : at + length], at + length


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number in Kafka's variable-length form, and the position after it."""
    raw = shift = 0
    while at < end and shift < _VARINT_BITS:
        byte = content[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), at
        shift += 7
    raise _RecordError("a number in it does not end")
