"""Decompress batches within bounds: a few bytes of the log may decompress to a very large amount.

A codec can turn one byte into a thousand bytes, or a million. This module bounds the size of one batch; a ``Budget``
bounds what one poll returns. Without both, one producer could fill the memory of every reader.
"""

import mmap
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cramjam

from hub.topology import MAX_LOG_RECORD_BYTES

MOST_BATCH_BYTES = 4 * MAX_LOG_RECORD_BYTES
"""A batch that is larger than this when decompressed is not read. The largest record that a topic accepts is a quarter
of it.
"""

MOST_POLL_BYTES = MOST_BATCH_BYTES
"""After one poll has returned this many bytes of records, it returns no second batch of any partition."""

CODEC_MASK = 0x07
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_NAMES = {_GZIP: "gzip", _SNAPPY: "snappy", _LZ4: "lz4", _ZSTD: "zstd"}
_SNAPPY_MOST_RATIO = 64
"""Snappy expands a byte to at most 64 bytes; a block that claims more is invalid."""
_XERIAL = b"\x82SNAPPY\0"
_XERIAL_HEADER = 16
_BLOCK = struct.Struct(">i")
_HEADER_BYTES = 61
_LEGACY_ATTRIBUTES_AT, _LEGACY_TIME_BYTES = 17, 8
_LENGTH_AT, _ATTRIBUTES_AT, _START_BYTES = 8, 21, 12
_scratch = threading.local()


class DamageError(Exception):
    """Records of a batch cannot be separated from here on; the message says why."""


class TooMuchError(DamageError):
    """A batch holds more than ``MOST_BATCH_BYTES``."""


@dataclass(slots=True)
class Budget:
    """How many more bytes of records one poll may return."""

    left: int = MOST_POLL_BYTES

    def renew(self) -> None:
        """Start the next poll."""
        self.left = MOST_POLL_BYTES

    def spend(self, size: int) -> None:
        """Subtract a batch that is returned."""
        self.left -= size

    @property
    def is_spent(self) -> bool:
        """Whether the poll has returned enough."""
        return self.left <= 0


def plain_batch(content: bytes) -> bytes:
    """Return a batch of version 2 in uncompressed form; its checksum stays that of the compressed batch.

    Raises:
        DamageError: it cannot be decompressed.
        TooMuchError: it holds more than ``MOST_BATCH_BYTES``.
    """
    codec = content[_ATTRIBUTES_AT + 1] & CODEC_MASK
    if not codec:
        return content
    header = bytearray(content[:_HEADER_BYTES])
    records = decompressed(codec, content[_HEADER_BYTES:])
    header[_ATTRIBUTES_AT + 1] &= ~CODEC_MASK & 0xFF
    _BLOCK.pack_into(header, _LENGTH_AT, _HEADER_BYTES - _START_BYTES + len(records))
    return b"".join((header, records))


def legacy_size(content: bytes) -> int:
    """Return how many bytes a message of an older version (magic 0 or 1) holds when it is decompressed.

    The client library decompresses such a message without a limit, so ask this first. Raises as ``plain_batch``.
    """
    codec = content[_LEGACY_ATTRIBUTES_AT] & CODEC_MASK
    if not codec:
        return len(content)
    at = _LEGACY_ATTRIBUTES_AT + 1 + (_LEGACY_TIME_BYTES if content[_LEGACY_ATTRIBUTES_AT - 1] else 0)
    try:
        (key,) = _BLOCK.unpack_from(content, at)
        at += _BLOCK.size + max(key, 0)
        (value,) = _BLOCK.unpack_from(content, at)
    except struct.error as error:
        raise DamageError("it is shorter than it says") from error
    at += _BLOCK.size
    return len(decompressed(codec, content[at : at + max(value, 0)]))


def decompressed(codec: int, payload: bytes) -> bytes:
    """Return the decompressed bytes, given the codec's number; raises as ``plain_batch``."""
    if codec not in _NAMES:
        raise DamageError(f"it is compressed by the unknown codec number {codec}")
    try:
        return _snappy(payload) if codec == _SNAPPY else _into_scratch(_INTO[codec], payload)
    except DamageError:
        raise
    except BaseException as error:
        # The codecs' errors have no common base class, and a panic of one written in Rust is not an Exception.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            if "whole buffer" in str(error):
                raise _too_much() from error
            raise DamageError(f"it cannot be decompressed as {_NAMES[codec]}") from error
        raise


_INTO: Mapping[int, Callable[[bytes, mmap.mmap], int]] = {
    _GZIP: cramjam.gzip.decompress_into,
    _LZ4: cramjam.lz4.decompress_into,
    _ZSTD: cramjam.zstd.decompress_into,
}


def _into_scratch(decompress: Callable[[bytes, mmap.mmap], int], payload: bytes) -> bytes:
    """Decompress into memory of the maximum size; only the pages that are written are allocated."""
    scratch = getattr(_scratch, "memory", None)
    if scratch is None:
        scratch = _scratch.memory = mmap.mmap(-1, MOST_BATCH_BYTES)
    return scratch[: decompress(payload, scratch)]


def _snappy(payload: bytes) -> bytes:
    blocks = list(_snappy_blocks(payload))
    told = sum(cramjam.snappy.decompress_raw_len(block) for block in blocks)
    if told > _SNAPPY_MOST_RATIO * len(payload):
        raise DamageError("it cannot be decompressed as snappy")
    if told > MOST_BATCH_BYTES:
        raise _too_much()
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _snappy_blocks(payload: bytes) -> Iterator[bytes]:
    """Yield the blocks that are compressed separately: the whole payload, or the blocks that Java's clients write."""
    if not payload.startswith(_XERIAL) or len(payload) <= _XERIAL_HEADER:
        yield payload
        return
    at = _XERIAL_HEADER
    while at < len(payload):
        (size,) = _BLOCK.unpack_from(payload, at)
        at += _BLOCK.size
        if not 0 < size <= len(payload) - at:
            raise DamageError("it cannot be decompressed as snappy")
        yield payload[at : at + size]
        at += size


def _too_much() -> TooMuchError:
    return TooMuchError(f"it holds more than {MOST_BATCH_BYTES >> 20} MiB when it is decompressed")
