"""Files of the archive: one Parquet file per stretch of a log partition, each with a manifest.

``<archive>/<topic>/<partition>/<first>-<end>.parquet`` holds the records of the offsets ``first <= offset < end``. The
manifest, ``.json``, gives their number, their schemas and the file's hash. A file is written under a temporary name,
synced to disk, read back and compared; only then it is renamed. Its manifest is written last, and only then the file
counts. So whatever a killed run leaves behind does not count, and the next run removes it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hub.codec.wire import HEADER_BYTES, MAGIC
from hub.model.errors import HubError
from hub.operate.archive.folder import alone, file_hash, sync_folder

__all__ = ["alone", "file_hash"]

FORMAT = 1
_WRITING = ".writing-"
_DIGITS = 20
_COLUMNS = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
        pa.field("schema_id", pa.int64()),
        pa.field("sha256", pa.binary(32)),
        pa.field("unreadable", pa.string()),
    ]
)
"""``timestamp``: milliseconds since 1970, as in the log. ``sha256``: of the value; null for a tombstone.
``unreadable``: why the log's bytes were not a record, null if they were; older files do not have this column."""
_READ = ("offset", "timestamp", "key", "value", "headers", "unreadable")

Headers = tuple[tuple[str, bytes | None], ...]


class DamagedArchiveError(HubError):
    """A file of the archive is not what its manifest says."""

    code = "ARCHIVE_DAMAGED"


@dataclass(frozen=True, slots=True)
class Rows:
    """Records of one log partition, in the order of their offsets; timestamps in milliseconds.

    ``unreadable``: why the log's bytes were not a record, empty if they were; () if all were records.
    """

    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None] = field(repr=False)
    values: Sequence[bytes | None] = field(repr=False)
    headers: Sequence[Headers]
    unreadable: Sequence[str] = ()

    def by_offset(self) -> dict[int, str]:
        """Return the offsets of unreadable records, each with the reason."""
        return {offset: why for offset, why in zip(self.offsets, self.unreadable, strict=bool(self.unreadable)) if why}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds.

    Fields:
        first, end: the stretch, ``first <= offset < end``; offsets without a record are transaction markers.
        sha256: of the file.
        content: digest of offsets, timestamps, keys and values in order; it does not depend on the file format.
        schema_ids: number of records by schema id; records without one count under "none".
        topic_id: Kafka's id of the records' topic; None in files of older versions.
        lost_before: offsets directly before ``first`` that the log had lost, and that were skipped on record.
    """

    topic: str
    partition: int
    first: int
    end: int
    records: int
    bytes: int
    sha256: str
    content: str
    oldest_ms: int | None
    newest_ms: int | None
    schema_ids: dict[str, int]
    written_at: str
    format: int = FORMAT
    topic_id: str | None = None
    lost_before: int = 0

    def path(self, archive: Path) -> Path:
        """Return where the file is."""
        return stretch_path(archive, self.topic, self.partition, self.first, self.end)


def stretch_path(archive: Path, topic: str, partition: int, first: int, end: int) -> Path:
    """Return the file of a stretch."""
    return archive / topic / str(partition) / f"{first:0{_DIGITS}d}-{end:0{_DIGITS}d}.parquet"


class StretchWriter:
    """Writes one stretch; holds one row group in memory. Only ``finish`` makes the file count."""

    def __init__(
        self,
        archive: Path,
        topic: str,
        partition: int,
        first: int,
        topic_id: str | None = None,
        lost_before: int = 0,
    ) -> None:
        self._archive, self._topic, self._partition, self._first = archive, topic, partition, first
        self._topic_id, self._lost_before = topic_id, lost_before
        folder = archive / topic / str(partition)
        folder.mkdir(parents=True, exist_ok=True)
        self._temporary = folder / f"{_WRITING}{first:0{_DIGITS}d}.parquet"
        self._out = pq.ParquetWriter(self._temporary, _COLUMNS, compression="zstd", write_statistics=["offset"])
        self._content = hashlib.sha256()
        self._schema_ids: dict[str, int] = {}
        self._times: list[int] = []
        self.records = 0
        self.bytes = 0

    def add(self, rows: Rows) -> None:
        """Write some records as a row group."""
        ids = [schema_id(value) for value in rows.values]
        nothing = [None] * len(ids)
        table = pa.table(
            {
                "offset": list(rows.offsets),
                "timestamp": list(rows.timestamps),
                "key": list(rows.keys),
                "value": list(rows.values),
                "headers": [[{"name": name, "value": value} for name, value in of] for of in rows.headers],
                "schema_id": ids,
                "sha256": [None if value is None else hashlib.sha256(value).digest() for value in rows.values],
                "unreadable": [why or None for why in rows.unreadable] or nothing,
            },
            schema=_COLUMNS,
        )
        self._out.write_table(table)
        digest_rows(self._content, rows)
        self.records += len(rows.offsets)
        self.bytes += sum(len(value or b"") for value in rows.values)
        self._times = [min([*self._times[:1], *rows.timestamps]), max([*self._times[1:], *rows.timestamps])]
        for found in ids:
            name = "none" if found is None else str(found)
            self._schema_ids[name] = self._schema_ids.get(name, 0) + 1

    def finish(self, end: int) -> Manifest:
        """Sync the file to disk, read it back, and make it count.

        Raises:
            DamagedArchiveError: what was read back differs from what was written.
        """
        self._out.close()
        with self._temporary.open("rb") as file:
            os.fsync(file.fileno())
        manifest = Manifest(
            self._topic,
            self._partition,
            self._first,
            end,
            self.records,
            self._temporary.stat().st_size,
            file_hash(self._temporary),
            self._content.hexdigest(),
            self._times[0] if self._times else None,
            self._times[1] if self._times else None,
            self._schema_ids,
            datetime.now(UTC).isoformat(),
            topic_id=self._topic_id,
            lost_before=self._lost_before,
        )
        check_content(self._temporary, manifest)
        path = manifest.path(self._archive)
        self._temporary.rename(path)
        sync_folder(path.parent)
        said = path.with_name(f"{_WRITING}{path.stem}.json")
        said.write_text(json.dumps(asdict(manifest), indent=1))
        with said.open("rb") as file:
            os.fsync(file.fileno())
        said.rename(path.with_suffix(".json"))
        sync_folder(path.parent)
        return manifest

    def __enter__(self) -> "StretchWriter":
        return self

    def __exit__(self, *raised: object) -> None:
        self._out.close()
        self._temporary.unlink(missing_ok=True)


def schema_id(value: bytes | None) -> int | None:
    """Return the schema id in a value; None if it has none."""
    if value is None or len(value) < HEADER_BYTES or value[0] != MAGIC:
        return None
    return int.from_bytes(value[1:HEADER_BYTES], "big")


def digest_rows(digest: Any, rows: Rows) -> None:
    """Add records to a digest of content. Lengths precede the bytes, so that different contents cannot look alike."""
    for offset, time, key, value in zip(rows.offsets, rows.timestamps, rows.keys, rows.values, strict=True):
        digest.update(f"{offset} {time} {_length(key)} {_length(value)} ".encode() + (key or b"") + (value or b""))


def _length(part: bytes | None) -> int:
    return -1 if part is None else len(part)


def rows_in(path: Path, first: int, end: int, most: int = 5000) -> Iterator[Rows]:
    """Yield a file's records from offset ``first`` to before ``end``; skips row groups without such records."""
    with pq.ParquetFile(path) as file:
        groups = [number for number in range(file.metadata.num_row_groups) if _may_hold(file, number, first, end)]
        columns_there = [name for name in _READ if name in file.schema_arrow.names]
        for batch in file.iter_batches(most, groups, columns=columns_there) if groups else ():
            columns = batch.to_pydict()
            inside = [row for row, offset in enumerate(columns["offset"]) if first <= offset < end]
            if inside:
                headers = [
                    tuple((one["name"], one["value"]) for one in columns["headers"][row] or ()) for row in inside
                ]
                taken = {
                    name: [columns[name][row] for row in inside] for name in ("offset", "timestamp", "key", "value")
                }
                odd = columns.get("unreadable") or [None] * len(columns["offset"])
                why = [odd[row] or "" for row in inside]
                contents = taken["offset"], taken["timestamp"], taken["key"], taken["value"]
                yield Rows(*contents, headers, why if any(why) else ())


def _may_hold(file: pq.ParquetFile, group: int, first: int, end: int) -> bool:
    told = file.metadata.row_group(group).column(0).statistics
    return told is None or not told.has_min_max or (told.min < end and told.max >= first)


def check_content(path: Path, manifest: Manifest) -> None:
    """Read a file back and compare it with its manifest, record by record; raises DamagedArchiveError."""
    digest = hashlib.sha256()
    records, before = 0, manifest.first - 1
    try:
        for rows in rows_in(path, 0, 1 << 62):
            digest_rows(digest, rows)
            records += len(rows.offsets)
            for offset in rows.offsets:
                if not before < offset < manifest.end:
                    raise DamagedArchiveError(f"{path}: offset {offset} is out of place in the file")
                before = offset
    except (pa.ArrowException, OSError) as error:
        raise DamagedArchiveError(f"{path}: cannot be read ({type(error).__name__})") from error
    if (records, digest.hexdigest()) != (manifest.records, manifest.content):
        raise DamagedArchiveError(
            f"{path}: holds {records} records; they are not the {manifest.records} of its manifest"
        )


def read_manifests(archive: Path, topic: str | None = None, partition: int | None = None) -> list[Manifest]:
    """Return the manifests of an archive, or of one topic or partition, by topic, partition and offset.

    Raises:
        DamagedArchiveError: a manifest cannot be read, or its file is not there.
    """
    pattern = f"{topic or '*'}/{'*' if partition is None else partition}/[0-9]*.json"
    found = [_manifest(path) for path in archive.glob(pattern)]
    return sorted(found, key=lambda one: (one.topic, one.partition, one.first))


def _manifest(path: Path) -> Manifest:
    try:
        of = Manifest(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DamagedArchiveError(f"{path}: is not a manifest of the archive") from error
    if not path.with_suffix(".parquet").is_file():
        raise DamagedArchiveError(f"{path}: its file is not there")
    return of


def remove_leftovers(archive: Path) -> list[str]:
    """Remove what a killed run left: unfinished files, and files without a manifest."""
    left = [*archive.glob(f"*/*/{_WRITING}*")]
    left += [path for path in archive.glob("*/*/[0-9]*.parquet") if not path.with_suffix(".json").exists()]
    for path in left:
        path.unlink()
    return sorted(str(path) for path in left)
