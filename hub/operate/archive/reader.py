"""Read archived stretches by their coordinates, so that archive and topic together are one log."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.model.errors import LostRangeError
from hub.operate.archive.files import Headers, Manifest, Rows, read_manifests, rows_in

ArchivedRows = Rows
"""Offsets, timestamps, keys, values and headers of some records, in the order of their offsets."""


@dataclass(frozen=True, slots=True)
class ArchivedRange:
    """Offsets ``first <= offset < end`` of a log partition that the archive holds without a gap."""

    first: int
    end: int
    files: tuple[Manifest, ...]


def archived_ranges(archive: Path, topic: str, partition: int) -> list[ArchivedRange]:
    """Return what the archive holds of a log partition; adjacent files are joined."""
    ranges: list[ArchivedRange] = []
    for of in read_manifests(archive, topic, partition):
        if ranges and ranges[-1].end == of.first:
            before = ranges.pop()
            ranges.append(ArchivedRange(before.first, of.end, (*before.files, of)))
        else:
            ranges.append(ArchivedRange(of.first, of.end, (of,)))
    return ranges


def archived_until(archive: Path, topic: str, partition: int, first: int) -> int:
    """Return the offset up to which the archive holds everything from ``first`` on; ``first`` if it holds nothing."""
    return next((one.end for one in archived_ranges(archive, topic, partition) if one.first <= first < one.end), first)


def read_archived(
    archive: Path, topic: str, partition: int, from_offset: int, to_offset: int, most: int = 5000
) -> Iterator[ArchivedRows]:
    """Yield the records from one offset to before another, at most ``most`` at once.

    Raises:
        LostRangeError: the archive does not hold all of them.
        DamagedArchiveError: a manifest or a file cannot be read.
    """
    held = next((one for one in archived_ranges(archive, topic, partition) if one.first <= from_offset < one.end), None)
    if held is None or held.end < to_offset:
        missing = from_offset if held is None else held.end
        raise LostRangeError(f"{topic}/{partition}/{missing}: the archive {archive} does not hold it")
    for of in held.files:
        if of.first < to_offset and of.end > from_offset:
            yield from rows_in(of.path(archive), from_offset, to_offset, most)


def read_places(
    archive: Path, topic: str, partition: int, offsets: Collection[int]
) -> Iterator[tuple[int, int, bytes | None, Headers]]:
    """Yield offset, timestamp (milliseconds), value and headers of the records that the archive holds."""
    wanted = set(offsets)
    for of in read_manifests(archive, topic, partition):
        mine = {offset for offset in wanted if of.first <= offset < of.end}
        if not mine:
            continue
        for rows in rows_in(of.path(archive), min(mine), max(mine) + 1):
            parts = (rows.offsets, rows.timestamps, rows.values, rows.headers)
            for offset, time, value, headers in zip(*parts, strict=True):
                if offset in mine:
                    yield offset, time, value, headers
