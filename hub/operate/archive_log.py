"""Archive and topics as one log, for a replay: what the topics no longer hold is read from the archive."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hub.intake.prepare import Polled
from hub.operate.archive_reader import archived_until, read_archived
from hub.operate.event_log import LogRange, Reader, read_ranges
from hub.operate.log_ends import read_log_ends


def whole_log_reader(bootstrap: str, archive: Path | None) -> Reader:
    """Return a reader of the event topics and of an archive; without one, of the topics alone."""

    def read(ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
        return read_ranges(bootstrap, ranges, most) if archive is None else _read(bootstrap, archive, ranges, most)

    return read


async def _read(bootstrap: str, archive: Path, ranges: Sequence[LogRange], most: int) -> AsyncIterator[list[Polled]]:
    """Yield what the archive alone holds, the partitions by turns, then what the topics hold.

    A range of which the archive lacks the beginning is left to the topics' reader, which names what is lost.
    """
    begins = read_log_ends(bootstrap, {(one.topic, one.partition): 1 << 62 for one in ranges})
    archived: list[LogRange] = []
    rest: list[LogRange] = []
    for one in ranges:
        place = one.topic, one.partition
        begin = begins[place].begin if place in begins else one.first
        end = min(archived_until(archive, *place, one.first), begin, one.end)
        if end < min(begin, one.end):
            rest.append(one)
            continue
        archived.append(replace(one, end=max(one.first, end)))
        rest.append(replace(one, first=max(one.first, end)))
    ended: dict[int, int] = {}
    for polled in _by_turns([_archived(archive, one, most) for one in archived if one.first < one.end]):
        ended[polled.log] = polled.offsets[-1] + 1
        yield [polled]
    async for several in read_ranges(bootstrap, rest, most):
        yield [replace(polled, expected=ended.pop(polled.log, polled.expected)) for polled in several]


def _archived(archive: Path, of: LogRange, most: int) -> Iterator[Polled]:
    expected = of.first
    for rows in read_archived(archive, of.topic, of.partition, of.first, of.end, most):
        yield Polled(of.log, of.topic, of.partition, expected, rows.offsets, rows.keys, rows.values)
        expected = rows.offsets[-1] + 1


def _by_turns(readings: list[Iterator[Polled]]) -> Iterator[Polled]:
    """Yield one piece of each reading after the other, so that partitions advance together."""
    while readings:
        for reading in list(readings):
            polled = next(reading, None)
            if polled is None:
                readings.remove(reading)
            else:
                yield polled
