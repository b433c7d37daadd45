"""Archive and topics as one log, for a replay: what the topics no longer hold is read from the archive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hub.intake.prepare import Polled
from hub.log.places import Partition
from hub.operate.archive.reader import archived_until, read_archived
from hub.operate.log.ends import read_log_ends
from hub.operate.replay.reading.event_log import LogRange, Reader, read_ranges
from hub.topology import is_closed
from hub.warehouse.lost_offsets import LostOffsets

Begins = Callable[[Sequence[LogRange]], Mapping[Partition, int]]
"""Returns where the topics begin, by (topic, partition)."""


Lost = Callable[[], Sequence[LostOffsets]]
"""Returns the offsets that no log holds, and that are on record; blocks."""


def whole_log_reader(bootstrap: str, archive: Path | None, lost: Lost = tuple) -> Reader:
    """Return a reader of the event topics and an archive; without an archive, of the topics alone.

    It passes over ``lost`` offsets.
    """
    return past_lost(_kept_log_reader(bootstrap, archive), lost)


def _kept_log_reader(bootstrap: str, archive: Path | None) -> Reader:

    def topics(ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
        return read_ranges(bootstrap, ranges, most)

    if archive is None:
        return topics

    def begins(ranges: Sequence[LogRange]) -> Mapping[Partition, int]:
        ends = read_log_ends(bootstrap, {(one.topic, one.partition): _NO_AGE_WANTED for one in ranges})
        return {place: end.begin for place, end in ends.items()}

    return joined(archive, topics, begins)


_NO_AGE_WANTED = 1 << 62


def past_lost(reader: Reader, lost: Lost) -> Reader:
    """Return a reader that passes over lost offsets, as over places that hold no record."""

    async def read(ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
        gaps, left = await asyncio.to_thread(lost), list(ranges)
        while left:
            parts = [_until_gap(one, gaps) for one in left]
            whole = [part for part, _ in parts if part.first < part.end]
            if whole:
                async for several in reader(whole, most):
                    yield several
            passed = [gap for _, gap in parts if gap is not None]
            if passed:
                yield [Polled(gap.log, gap.topic, gap.partition, gap.first, [], [], [], gap.end) for gap in passed]
            ends = {gap.log: gap.end for gap in passed}
            left = [replace(one, first=ends[one.log]) for one in left if ends.get(one.log, one.end) < one.end]

    return read


def _until_gap(one: LogRange, gaps: Sequence[LostOffsets]) -> tuple[LogRange, LogRange | None]:
    """Return what stands before the first lost offsets of a range, and those; None if there are none."""
    inside = [gap for gap in gaps if gap.log == one.log and gap.first < one.end and gap.end > one.first]
    if not inside:
        return one, None
    first, end = max(one.first, inside[0].first), min(one.end, inside[0].end)
    return replace(one, end=first), replace(one, first=first, end=end)


def joined(archive: Path, topics: Reader, begins: Begins) -> Reader:
    """Return a reader of what only the archive holds, partitions in turn, and then of what the topics hold.

    A range whose beginning is missing in the archive is left to the topics' reader, which reports what is lost.
    """

    async def read(ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
        archived, rest = _told_apart(archive, ranges, begins(ranges))
        ended: dict[int, int] = {}
        for polled in _by_turns([_archived(archive, one, most) for one in archived]):
            ended[polled.log] = polled.next_offset
            yield [polled]
        async for several in topics(rest, most):
            yield [replace(polled, expected=ended.pop(polled.log, polled.expected)) for polled in several]

    return read


def _told_apart(
    archive: Path, ranges: Sequence[LogRange], begins: Mapping[Partition, int]
) -> tuple[list[LogRange], list[LogRange]]:
    """Return what must come from the archive, and what the topics hold."""
    archived: list[LogRange] = []
    rest: list[LogRange] = []
    for one in ranges:
        place = one.topic, one.partition
        begin = begins.get(place, one.end if is_closed(one.topic) else one.first)
        until = min(begin, one.end)
        if one.first < until <= archived_until(archive, *place, one.first):
            archived.append(replace(one, end=until))
            rest.append(replace(one, first=until))
        else:
            rest.append(one)
    return archived, rest


def _archived(archive: Path, stretch: LogRange, most: int) -> Iterator[Polled]:
    """Yield what the archive holds of a range, and last the places up to its end that hold no record."""
    expected, place = stretch.first, (stretch.log, stretch.topic, stretch.partition)
    for rows in read_archived(archive, stretch.topic, stretch.partition, stretch.first, stretch.end, most):
        yield Polled(*place, expected, rows.offsets, rows.keys, rows.values, unreadable=rows.by_offset())
        expected = rows.offsets[-1] + 1
    if expected < stretch.end:
        yield Polled(*place, expected, [], [], [], stretch.end)


def _by_turns(readings: list[Iterator[Polled]]) -> Iterator[Polled]:
    """Yield one piece of each reading in turn, so that partitions advance together."""
    while readings:
        for reading in list(readings):
            polled = next(reading, None)
            if polled is None:
                readings.remove(reading)
            else:
                yield polled
