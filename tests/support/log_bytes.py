"""Batches of the log as bytes: made by the client library, then bent by hand."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c, encode_varint

HEADER = struct.Struct(">qiibIhiqqqhii")
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
NO_PRODUCER = -1


@dataclass(frozen=True)
class Said:
    """One record of a batch."""

    key: bytes | None = b"key"
    value: bytes | None = b"value"
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    offset_delta: int | None = None
    raw: bytes | None = None
    length: int | None = None


def batch(
    base: int,
    records: Sequence[Said],
    codec: int = 0,
    *,
    producer: int = NO_PRODUCER,
    control: bool = False,
    count: int | None = None,
    payload: bytes | None = None,
    break_crc: bool = False,
    magic: int = 2,
) -> bytes:
    """Return a batch of version 2 whose first record has the offset ``base``."""
    content = b"".join(_record(number, one) for number, one in enumerate(records))
    if payload is None:
        payload = _compressed(content, codec)
    is_transactional = producer != NO_PRODUCER
    attributes = codec | (0x10 if is_transactional else 0) | (0x20 if control else 0)
    last = max((one.offset_delta or number for number, one in enumerate(records)), default=0)
    told = len(records) if count is None else count
    after_crc = struct.pack(">hiqqqhii", attributes, last, 0, 0, producer, 0, 0, told) + payload
    crc = calc_crc32c(after_crc) ^ (1 if break_crc else 0)
    rest = struct.pack(">ibI", 0, magic, crc) + after_crc
    return struct.pack(">qi", base, len(rest)) + rest


def marker(base: int, producer: int, commits: bool) -> bytes:
    """Return the batch that ends a producer's transaction."""
    key = struct.pack(">hh", 0, int(commits))
    return batch(base, [Said(key, b"\0" * 6)], producer=producer, control=True)


def _compressed(content: bytes, codec: int) -> bytes:
    from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

    encode = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}.get(codec)
    return content if encode is None else bytes(encode(content))


def _record(number: int, said: Said) -> bytes:
    if said.raw is not None:
        body = said.raw
    else:
        delta = number if said.offset_delta is None else said.offset_delta
        body = b"\0" + varint(0) + varint(delta) + _bytes(said.key) + _bytes(said.value) + varint(len(said.headers))
        body += b"".join(_bytes(name) + _bytes(value) for name, value in said.headers)
    return varint(len(body) if said.length is None else said.length) + body


def _bytes(part: bytes | None) -> bytes:
    return varint(-1) if part is None else varint(len(part)) + part


def varint(value: int) -> bytes:
    """Return a number as Kafka writes it."""
    out = bytearray()
    encode_varint(value, out.append)
    return bytes(out)


def library_batch(base: int, records: Sequence[Said], codec: int) -> bytes:
    """Return a batch that the client library itself has made."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for number, one in enumerate(records):
        builder.append(
            number, 1_000 + number, one.key, one.value, [(name.decode(), value) for name, value in one.headers]
        )
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, base)
    return bytes(made)
