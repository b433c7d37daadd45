"""The protocol between the decoder's parent and child processes.

Batches and frames are in two files without names. Lines of JSON on the child's standard input and output say what the
files hold. A few shared bytes tell the parent how far the child is, so that the parent can find the record that killed
or hung it.

To the child: ``marshal`` of a list of bytes and None, which the child may trust because it comes from its parent. To
the parent: only Arrow IPC and JSON, which cannot carry code.
"""

import io
import json
import marshal
import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.intake.decode.batch import Phase
from hub.intake.decode.decoded import Decoded, Poison
from hub.intake.decode.logical import nulls_of
from hub.model.outcomes import Reason

_PROGRESS = struct.Struct("=II")
_MARSHAL_VERSION = 2  # version 2 has no table of back references: it takes a third of the time


@dataclass(frozen=True, slots=True)
class Request:
    """One batch for the child: ``size`` bytes in the request file; see ``hub.intake.decode.batch.decode_batch``."""

    subject: str
    size: int
    blocks: bool
    skip: tuple[int, ...]
    limit_s: float

    def line(self) -> bytes:
        """Return the request as the line that the child reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> "Request":
        """Return the request that a line holds."""
        fields = json.loads(line)
        return cls(**{**fields, "skip": tuple(fields["skip"])})


class Link:
    """The two files and the shared bytes; the parent creates them, the child opens them from inherited descriptors."""

    def __init__(self, descriptors: Sequence[int] = ()) -> None:
        self.descriptors = tuple(descriptors) or tuple(_unnamed_file(name) for name in ("request", "reply", "progress"))
        self._request, self._reply, progress = self.descriptors
        if not descriptors:
            os.ftruncate(progress, _PROGRESS.size)
        self._progress = mmap.mmap(progress, _PROGRESS.size)

    def close(self) -> None:
        """Close the files."""
        self._progress.close()
        for descriptor in self.descriptors:
            os.close(descriptor)

    def mark(self, phase: Phase, number: int) -> None:
        """Tell the parent what the child is doing."""
        _PROGRESS.pack_into(self._progress, 0, phase, number)

    def progress(self) -> tuple[Phase, int]:
        """Return what the child last reported."""
        phase, number = _PROGRESS.unpack_from(self._progress)
        return Phase(phase), number

    def put_values(self, values: Sequence[bytes | None]) -> int:
        """Write a batch for the child; return its size."""
        content = marshal.dumps(list(values), _MARSHAL_VERSION)
        _overwrite(self._request, content)
        return len(content)

    def values(self, size: int) -> list[bytes | None]:
        """Read the batch."""
        values: list[bytes | None] = marshal.loads(os.pread(self._request, size, 0))  # noqa: S302 - the parent wrote it
        return values

    def put_decoded(self, decoded: Decoded) -> bytes:
        """Write a decoded batch for the parent, without its empty columns; return the line that describes it."""
        frame = decoded.frame
        filled = [
            column for column in frame.get_columns() if column.null_count() < frame.height or column.name == "row"
        ]
        buffer = io.BytesIO()
        pl.DataFrame(filled).write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
        _overwrite(self._reply, buffer.getbuffer())
        poison = [(found.row, found.reason, found.schema_id, found.detail) for found in decoded.poison]
        return json.dumps({"size": buffer.tell(), "path": decoded.path, "poison": poison}).encode() + b"\n"

    def decoded(self, line: bytes, latest: SchemaVersion) -> Decoded:
        """Read the decoded batch that a line of the child describes."""
        fields: dict[str, Any] = json.loads(line)
        filled = pl.read_ipc_stream(os.pread(self._reply, fields["size"], 0))
        columns = {column.name: column for column in filled.get_columns()}
        frame = pl.DataFrame(
            [
                columns[null.name] if null.name in columns else null.new_from_index(0, filled.height)
                for null in nulls_of(latest)
            ]
        )
        poison = (Poison(row, Reason(reason), schema_id, detail) for row, reason, schema_id, detail in fields["poison"])
        return Decoded(frame, tuple(poison), fields["path"])


def _unnamed_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _overwrite(descriptor: int, content: bytes | memoryview) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
