"""The partition of a record by its key, as Kafka's default partitioner chooses it (murmur2, as in the Java client)."""

import struct
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from hub.model.keys import KEY_BYTES

_WORDS = struct.Struct("<4I")
_MASK = 0xFFFFFFFF
_SEED, _MIX = 0x9747B28C, 0x5BD1E995


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a 16-byte key (murmur2, as in the Java client)."""
    state = _SEED ^ len(key)
    for word in _WORDS.unpack(key):
        mixed = word * _MIX & _MASK
        mixed = (mixed ^ mixed >> 24) * _MIX & _MASK
        state = (state * _MIX & _MASK) ^ mixed
    state = (state ^ state >> 13) * _MIX & _MASK
    return ((state ^ state >> 15) & 0x7FFFFFFF) % partitions


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """Return ``partition_of`` of each key, computed for all keys at once; raises ValueError if one has not 16 bytes."""
    return [*column_of_partitions(pa.array(keys, pa.large_binary()), partitions).to_pylist()]


def column_of_partitions(keys: pa.Array, partitions: int) -> pa.Array:
    """Return ``partition_of`` of each key of a column (``large_binary``); raises ValueError if one has not 16 bytes."""
    if not pc.all(pc.equal(pc.binary_length(keys), KEY_BYTES), min_count=0).as_py():
        raise ValueError("a key does not have 16 bytes")
    joined = keys.take(pa.array(range(len(keys)), pa.int64())).buffers()[2] if keys.offset else keys.buffers()[2]
    words = pa.Array.from_buffers(pa.uint32(), len(keys) * 4, [None, joined])
    frame = pl.DataFrame({"word": pl.Series(words).cast(pl.UInt64)})
    state: pl.Expr = pl.lit(_SEED ^ KEY_BYTES, pl.UInt64)
    for place in range(4):
        mixed = (pl.col("word").gather_every(4, place) * _MIX) & _MASK
        mixed = ((mixed ^ (mixed // 2**24)) * _MIX) & _MASK
        state = ((state * _MIX) & _MASK) ^ mixed
    state = ((state ^ (state // 2**13)) * _MIX) & _MASK
    chosen = ((state ^ (state // 2**15)) & 0x7FFFFFFF) % partitions
    return frame.select(chosen.alias("partition"))["partition"].to_arrow()
