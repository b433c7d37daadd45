"""The block path: decode many data of one schema version in one call, with proof that each was read within its bytes.

The values of a batch, with their headers, become one block of an Avro container. The container's schema wraps the
writer's schema: five bytes before the fields (the value's own header) and twelve bytes after them. The twelve bytes are
added after every value: its number in the block and a nonce.

    head 5 | the writer's fields | row 4 | nonce 8 | head 5 | the writer's fields | row 4 | nonce 8 | ...

Why correct tails prove that every datum was read within its own bytes. The nonce is drawn from the operating system for
each block, after the values were received, so no producer can have written it. It occurs in the block after each value
and nowhere else, and the numbers distinguish these places. The first record is read from the block's first byte. Assume
that record ``i`` is read from the first byte of value ``i``, and that its tail reads as number ``i`` and the nonce.
Then the twelve bytes read are those added after value ``i``: the fields took exactly the bytes of the datum, and record
``i + 1`` is read from the first byte of value ``i + 1``. So if all tails are equal to what was added, all boundaries
held. If one tail differs, the whole block is distrusted. No truncated datum, no trailing bytes, and no datum that
contains another with its header can pass.

The library (jetliner) reads physical types only (``hub.intake.decode.nodes``). None of them makes it guess. It panicked
on bad bytes of some types (enums, dates), so it is not asked for these. Any error, panic or wrong tail is a *doubt*:
the caller splits the block.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, repeat
from tempfile import NamedTemporaryFile

import jetliner
import polars as pl

from hub.codec.wire import HEADER_BYTES, header
from hub.intake.decode.nodes import Node, physical_schema

_HEAD, _NUMBER, _NONCE = "__head", "__number", "__nonce"
_NONCE_BYTES = 8
_NUMBER_BYTES = 4
_SYNC_BYTES = 16
_RECORD = re.compile(r"record (\d+)")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A block that cannot be trusted; ``near`` is the bad record or one shortly after it."""

    near: int | None


class BlockReader:
    """Decodes blocks of values of one writer schema."""

    def __init__(self, schema_id: int, node: Node) -> None:
        self._head = header(schema_id)
        self._names = [field.name for field in node.fields]
        self._schema = _container_header(json.dumps(_wrapper(node)).encode())

    def read(self, values: Sequence[bytes]) -> "pl.DataFrame | Doubt":
        """Return the writer's fields of all values, in order, or the doubt about at least one.

        Every value must begin with the header of this reader's schema id.
        """
        nonce = os.urandom(_NONCE_BYTES)
        count = len(values)
        sync = os.urandom(_SYNC_BYTES)
        numbers, numbered = _numbers(max(4096, 1 << (count - 1).bit_length()))
        body = chain.from_iterable(zip(values, numbers, repeat(nonce), strict=False))
        size = sum(map(len, values)) + count * (_NUMBER_BYTES + _NONCE_BYTES)
        start = (self._schema, sync, _varint(count), _varint(size))
        frame = _read(b"".join(chain(start, body, (sync,))), count)
        if isinstance(frame, Doubt):
            return frame
        if frame.height != count:
            return Doubt(None)
        heads = pl.col(_HEAD) == pl.lit(self._head)
        tails = (pl.col(_NONCE) == pl.lit(nonce)) & (pl.col(_NUMBER) == numbered.slice(0, count))
        kept = frame.select((heads & tails).alias("kept")).to_series()
        if not kept.all(ignore_nulls=False):
            return Doubt(kept.fill_null(value=False).arg_min())
        return frame[self._names]


def _read(container: bytes, count: int) -> "pl.DataFrame | Doubt":
    try:
        with _file_of(container) as path:
            frames = list(jetliner.AvroReader(path, batch_size=count))
        return frames[0] if len(frames) == 1 else Doubt(None)
    except jetliner.JetlinerError as error:
        found = _RECORD.search(str(error))
        return Doubt(int(found.group(1)) if found else None)
    except (pl.exceptions.PolarsError, OSError, ValueError, MemoryError):
        return Doubt(None)
    except BaseException as panic:
        # A panic in the library's Rust code arrives as a BaseException whose class cannot be imported.
        if type(panic).__name__ != "PanicException":
            raise
        return Doubt(None)


@contextmanager
def _file_of(content: bytes) -> Iterator[str]:
    """Give the path of a file with that content, in memory if the system supports it; the library reads only paths."""
    if not hasattr(os, "memfd_create"):
        with NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("block")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@cache
def _numbers(count: int) -> tuple[list[bytes], pl.Series]:
    numbers = [number.to_bytes(_NUMBER_BYTES, "big") for number in range(count)]
    return numbers, pl.Series(numbers, dtype=pl.Binary())


def _wrapper(node: Node) -> dict[str, object]:
    def fixed(name: str, size: int) -> dict[str, object]:
        return {"name": name, "type": {"type": "fixed", "name": name.strip("_"), "size": size}}

    names: list[str] = []
    fields = [{"name": field.name, "type": physical_schema(field.node, names)} for field in node.fields]
    tail = [fixed(_NUMBER, _NUMBER_BYTES), fixed(_NONCE, _NONCE_BYTES)]
    return {"type": "record", "name": "wrapper", "fields": [fixed(_HEAD, HEADER_BYTES), *fields, *tail]}


def _container_header(schema: bytes) -> bytes:
    """Return an Avro object container's header, without its sync marker."""
    parts = (b"avro.schema", schema, b"avro.codec", b"null")
    return b"".join((b"Obj\x01", _varint(2), *(_varint(len(part)) + part for part in parts), _varint(0)))


def _varint(number: int) -> bytes:
    zigzag = number << 1
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)
