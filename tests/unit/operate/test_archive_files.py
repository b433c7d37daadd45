"""Files of the archive: what is written is what is read, whatever is damaged is named, leftovers count for nothing."""

from pathlib import Path

import pytest

from hub.model.errors import LostRangeError, RetryableError
from hub.operate.archive.files import (
    DamagedArchiveError,
    Manifest,
    Rows,
    StretchWriter,
    alone,
    read_manifests,
    remove_leftovers,
    rows_in,
    schema_id,
)
from hub.operate.archive.plan import ArchiveStretch
from hub.operate.archive.reader import archived_ranges, archived_until, read_archived, read_places
from hub.operate.archive.run import check_file, deletions, verify_archive

TOPIC = "hub.citizen.changed.v1"
FRAMED = b"\x00\x00\x00\x03\xe9rest"


def rows(*offsets: int) -> Rows:
    values = [None if offset % 5 == 0 else FRAMED + str(offset).encode() for offset in offsets]
    headers = [(("hub.origin", b"x"), ("empty", None)) if offset % 2 else () for offset in offsets]
    keys = [None if offset % 7 == 0 else bytes([offset % 256]) for offset in offsets]
    return Rows(list(offsets), [1000 + offset for offset in offsets], keys, values, headers)


def write(archive: Path, first: int, end: int, *groups: Rows, partition: int = 0) -> Manifest:
    with StretchWriter(archive, TOPIC, partition, first) as writer:
        for group in groups or (rows(*range(first, end)),):
            writer.add(group)
        return writer.finish(end)


def test_what_is_written_is_read_back_with_keys_headers_and_tombstones(tmp_path: Path) -> None:
    written = write(tmp_path, 3, 20, rows(3, 4, 5), rows(7, 10, 14, 19))
    assert read_manifests(tmp_path) == [written]
    assert (written.records, written.oldest_ms, written.newest_ms) == (7, 1003, 1019)
    assert written.schema_ids == {"1001": 5, "none": 2}
    (whole,) = rows_in(written.path(tmp_path), 0, 100, most=100)
    pieces = list(rows_in(written.path(tmp_path), 0, 100, most=2))
    assert [offset for piece in pieces for offset in piece.offsets] == [3, 4, 5, 7, 10, 14, 19]
    assert whole == rows(3, 4, 5, 7, 10, 14, 19)
    assert [piece.offsets for piece in rows_in(written.path(tmp_path), 5, 14)] == [[5, 7, 10]]


def test_ranges_join_neighbours_and_reading_what_is_not_there_is_a_lost_range(tmp_path: Path) -> None:
    for first, end in ((0, 10), (10, 20), (30, 40)):
        write(tmp_path, first, end)
    assert [(one.first, one.end) for one in archived_ranges(tmp_path, TOPIC, 0)] == [(0, 20), (30, 40)]
    assert [archived_until(tmp_path, TOPIC, 0, first) for first in (0, 15, 20, 35, 50)] == [20, 20, 20, 40, 50]
    read = [offset for of in read_archived(tmp_path, TOPIC, 0, 7, 13) for offset in of.offsets]
    assert read == list(range(7, 13))
    with pytest.raises(LostRangeError, match="/20: the archive"):
        list(read_archived(tmp_path, TOPIC, 0, 7, 31))
    found = {offset: value for offset, _, value, _ in read_places(tmp_path, TOPIC, 0, [2, 5, 25, 39])}
    assert found == {2: FRAMED + b"2", 5: None, 39: FRAMED + b"39"}


def test_damage_is_named(tmp_path: Path) -> None:
    good = write(tmp_path, 0, 50)
    assert verify_archive(tmp_path) == ([good], [])
    path = good.path(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedArchiveError, match="hash"):
        check_file(tmp_path, good)
    write(tmp_path, 60, 70)
    problems = verify_archive(tmp_path)[1]
    assert len(problems) == 2
    assert "/60 is not joined to what ends at 50" in problems[1]
    path.unlink()
    with pytest.raises(DamagedArchiveError, match="its file is not there"):
        read_manifests(tmp_path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(DamagedArchiveError, match="is not a manifest"):
        read_manifests(tmp_path)


def test_what_is_read_back_otherwise_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(DamagedArchiveError, match="is out of place in the file"):
        write(tmp_path, 0, 10, rows(3, 2))
    assert read_manifests(tmp_path) == []
    assert list(tmp_path.rglob("*.parquet")) == []


def test_leftovers_of_a_killed_run_are_removed_and_what_counts_stays(tmp_path: Path) -> None:
    good = write(tmp_path, 0, 10)
    orphan = write(tmp_path, 10, 20)
    orphan.path(tmp_path).with_suffix(".json").unlink()
    half = tmp_path / TOPIC / "0" / ".writing-00.parquet"
    half.write_bytes(b"half")
    assert remove_leftovers(tmp_path) == sorted([str(half), str(orphan.path(tmp_path))])
    assert read_manifests(tmp_path) == [good]


def test_one_run_writes_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(RetryableError, match="another run"), alone(tmp_path):
        pass


@pytest.mark.parametrize(
    ("stored", "held_by", "before"), [(100, None, 30), (20, None, 20), (100, 12, 12), (100, 3, None), (5, None, None)]
)
def test_nothing_is_deleted_beyond_the_stored_offset_or_an_open_replay(
    tmp_path: Path, stored: int, held_by: int | None, before: int | None
) -> None:
    write(tmp_path, 0, 30)
    stretch = ArchiveStretch(TOPIC, 0, 30, 30, 10, stored, held_by)
    assert [one.before for one in deletions(tmp_path, [stretch])] == ([] if before is None else [before])
    assert deletions(tmp_path, [ArchiveStretch(TOPIC, 1, 0, 0, 0, 100)]) == []


@pytest.mark.parametrize(("value", "found"), [(None, None), (b"", None), (b"\x01\0\0\0\1", None), (FRAMED, 1001)])
def test_schema_id_is_read_of_framed_values_only(value: bytes | None, found: int | None) -> None:
    assert schema_id(value) == found
