"""Decode a batch of one subject: refuse what needs no decoding, decode blocks, split blocks that are in doubt.

Runs in the decoding child process (``hub.intake.decode.child``). A block in doubt is cut at the place where the doubt
appeared, and small pieces take the row path. So a bad record costs its neighbours little. A batch with many bad records
takes the row path as a whole.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from itertools import pairwise
from operator import itemgetter

import polars as pl

from hub.codec.catalogue import Catalogue, SchemaVersion, load_catalogue
from hub.codec.wire import HEADER_BYTES, header, unframe
from hub.intake.decode.block_path import BlockReader, Doubt
from hub.intake.decode.decoded import Decoded, Path, Poison
from hub.intake.decode.logical import ROW, Interpreter, empty_frame
from hub.intake.decode.nodes import physical_dtype, record_node
from hub.intake.decode.row_path import DatumError, DatumReader
from hub.model.errors import PoisonError
from hub.model.outcomes import Reason
from hub.topology import MAX_RECORD_BYTES

ROW_PATH_BELOW = 32
"""A block in doubt with at most this many records takes the row path."""

BLOCK_ROWS = 32_768
"""Maximum number of records in one block. Decoding it takes far less time than the parent waits for progress."""

SUSPECTS = 4
"""How many records before the one at which a doubt appeared are suspected with it."""

CUTS_PER_BATCH = 3
"""How many times a batch is cut at the place of the doubt; later blocks in doubt are cut into small ones."""

SMALL_BLOCK = 512
"""After that, a block in doubt with at most this many records takes the row path."""

DOUBTS_PER_BATCH = 12
"""After this many blocks in doubt, the rest of the batch takes the row path."""

_heads = itemgetter(slice(0, HEADER_BYTES))


class Phase(IntEnum):
    """What the child is doing. The parent reads it to find the record that killed the child."""

    IDLE = 0
    BLOCK = 1
    ROW = 2
    FRAME = 3


Mark = Callable[[Phase, int], None]
"""Reports progress to the parent: the phase, and in ROW the record's index, otherwise a count."""


@dataclass(slots=True)
class _Work:
    """One batch in progress: what was found so far."""

    subject: str
    values: Sequence[bytes | None] = field(repr=False)
    mark: Mark
    poison: list[Poison] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    blocks: int = 0
    doubts: int = 0
    by_row: int = 0


class VersionReader:
    """Everything needed to decode one writer version as the latest version."""

    def __init__(self, writer: SchemaVersion, latest: SchemaVersion) -> None:
        node = record_node(writer.schema)
        self.schema_id = writer.schema_id
        self.block = BlockReader(writer.schema_id, node)
        self.datum = DatumReader(node)
        self._node = node
        self._interpreter = Interpreter(writer, latest)

    def frame(self, rows: Sequence[int], records: Sequence[list[object]]) -> pl.DataFrame:
        """Return records read by the row path as a frame of physical values."""
        columns = zip(*records, strict=True) if records else [()] * len(self._node.fields)
        data = {
            item.name: pl.Series(item.name, list(column), physical_dtype(item.node), strict=False)
            for item, column in zip(self._node.fields, columns, strict=True)
        }
        return pl.DataFrame({ROW: pl.Series(rows, dtype=pl.UInt32()), **data})

    def interpret(self, physical: pl.DataFrame) -> tuple[pl.DataFrame, list[Poison]]:
        """Return what ``Interpreter.interpret`` returns."""
        return self._interpreter.interpret(physical)


@cache
def readers_of(catalogue: Catalogue, subject: str) -> dict[int, VersionReader]:
    """Return the readers of a subject's versions by schema id."""
    latest = catalogue.latest(subject)
    return {version.schema_id: VersionReader(version, latest) for version in catalogue.versions(subject)}


def decode_batch(
    subject: str,
    values: Sequence[bytes | None],
    mark: Mark,
    blocks: bool = True,
    skip: Collection[int] = (),
    catalogue: Catalogue | None = None,
) -> Decoded:
    """Decode a batch.

    Args:
        subject: whose schemas may occur.
        values: the records' values; None is a tombstone.
        mark: called with the progress.
        blocks: False sends every record down the row path.
        skip: indexes to leave out.
        catalogue: the schemas; by default the project's.
    """
    catalogue = catalogue or load_catalogue()
    work = _Work(subject, values, mark)
    readers = readers_of(catalogue, subject)
    for schema_id, rows in _sorted_out(work, catalogue, readers, skip).items():
        reader = readers[schema_id]
        if blocks:
            _decode_blocks(work, reader, rows)
        else:
            _keep(work, reader, _decode_rows(work, reader, rows))
    mark(Phase.FRAME, 0)
    path: Path = "block" if not work.by_row else "mixed" if work.blocks else "row"
    return Decoded(_assembled(work.frames, catalogue.latest(subject)), _ordered(work.poison), path)


def _sorted_out(
    work: _Work, catalogue: Catalogue, readers: dict[int, VersionReader], skip: Collection[int]
) -> dict[int, Sequence[int]]:
    """Return the indexes to decode, by schema id; the others are already recorded as poison."""
    whole = None if skip else _one_version(work.values, readers)
    if whole is not None:
        return {whole: range(len(work.values))}
    groups: dict[int, list[int]] = {}
    for row, value in enumerate(work.values):
        if row in skip:
            continue
        schema_id: int | None = None
        try:
            if value is not None and len(value) > MAX_RECORD_BYTES:
                raise PoisonError(Reason.TOO_LARGE, f"{len(value)} bytes, more than {MAX_RECORD_BYTES}")
            schema_id, _ = unframe(value)
            if schema_id not in readers:
                raise _foreign(catalogue, schema_id)
        except PoisonError as error:
            work.poison.append(Poison(row, Reason(error.reason), schema_id, error.detail))
        else:
            groups.setdefault(schema_id, []).append(row)
    return dict(groups)


def _one_version(values: Sequence[bytes | None], readers: dict[int, VersionReader]) -> int | None:
    """Return the schema id of all values if they share one and none is refused: the usual case, without a loop."""
    if not values or None in values or max(map(len, values)) > MAX_RECORD_BYTES:  # type: ignore[arg-type]
        return None
    heads = set(map(_heads, values))  # type: ignore[arg-type]
    if len(heads) != 1:
        return None
    head = heads.pop()
    return next((schema_id for schema_id in readers if header(schema_id) == head), None)


def _foreign(catalogue: Catalogue, schema_id: int) -> PoisonError:
    other = catalogue.by_id(schema_id)
    if other is None:
        return PoisonError(Reason.UNKNOWN_SCHEMA_ID, f"schema id {schema_id}")
    return PoisonError(Reason.WRONG_SUBJECT, f"schema id {schema_id} is of {other.subject}")


def _decode_blocks(work: _Work, reader: VersionReader, rows: Sequence[int]) -> None:
    values = work.values
    done: list[pl.DataFrame] = []
    pending = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)][::-1]
    while pending:
        rows = pending.pop()
        if (work.doubts and len(rows) <= ROW_PATH_BELOW) or work.doubts >= DOUBTS_PER_BATCH:
            done.append(_decode_rows(work, reader, rows))
            continue
        work.blocks += 1
        work.mark(Phase.BLOCK, work.blocks)
        block = values if len(rows) == len(values) else [values[row] for row in rows]
        found = reader.block.read(block)  # type: ignore[arg-type]
        if not isinstance(found, Doubt):
            done.append(found.insert_column(0, pl.Series(ROW, rows, pl.UInt32())))
            continue
        work.doubts += 1
        parts = _parts(rows, found, work.doubts)
        if len(parts) == 1:
            done.append(_decode_rows(work, reader, rows))
        else:
            pending += reversed(parts)
    _keep(work, reader, pl.concat(done) if len(done) > 1 else done[0])


def _parts(rows: Sequence[int], doubt: Doubt, doubts: int) -> list[Sequence[int]]:
    """Cut a block that is in doubt; a single part means that it takes the row path.

    The first few times, if the place is known, the suspects become one part and each side stays whole. After
    ``CUTS_PER_BATCH`` doubts, cut into small blocks: building a block costs time by its length, however early it fails.
    """
    if doubts > CUTS_PER_BATCH:
        return [rows[start : start + SMALL_BLOCK] for start in range(0, len(rows), SMALL_BLOCK)]
    if len(rows) <= ROW_PATH_BELOW:
        return [rows]
    cuts: tuple[int, ...] = (0, len(rows) // 2, len(rows))
    if doubt.near is not None:
        cuts = (0, max(0, doubt.near - SUSPECTS), min(len(rows), doubt.near + 1), len(rows))
    return [rows[start:end] for start, end in pairwise(cuts) if start < end]


def _decode_rows(work: _Work, reader: VersionReader, rows: Sequence[int]) -> pl.DataFrame:
    good: list[int] = []
    records: list[list[object]] = []
    for row in rows:
        work.mark(Phase.ROW, row)
        value = work.values[row]
        if value is None:
            continue
        try:
            record, end = reader.datum.read(value, HEADER_BYTES)
        except DatumError as error:
            work.poison.append(Poison(row, Reason.NOT_DECODABLE, reader.schema_id, str(error)))
            continue
        if end != len(value):
            detail = f"{len(value) - end} bytes after the datum"
            work.poison.append(Poison(row, Reason.TRAILING_BYTES, reader.schema_id, detail))
            continue
        good.append(row)
        records.append(record)
    work.by_row += len(rows)
    work.mark(Phase.FRAME, len(rows))
    return reader.frame(good, records)


def _keep(work: _Work, reader: VersionReader, physical: pl.DataFrame) -> None:
    frame, poison = reader.interpret(physical)
    work.frames.append(frame)
    work.poison += poison


def _assembled(frames: list[pl.DataFrame], latest: SchemaVersion) -> pl.DataFrame:
    if not frames:
        return empty_frame(latest)
    return frames[0] if len(frames) == 1 else pl.concat(frames).sort(ROW)


def _ordered(poison: list[Poison]) -> tuple[Poison, ...]:
    return tuple(sorted(poison, key=lambda found: found.row))
