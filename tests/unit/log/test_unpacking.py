"""Bytes of a fetch become records, whatever they are: by the hub's unpacking and by both clients that use it."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from hub.log.decompress import MOST_BATCH_BYTES, MOST_POLL_BYTES, Budget
from hub.log.odd import OddRecord
from hub.log.reader import _PartitionRecords as ReaderRecords
from hub.log.stream import _Kept, is_odd
from hub.log.stream import _PartitionRecords as StreamRecords
from hub.log.unpacking import Unpacking
from tests.support.log_bytes import CODECS, Said, batch, library_batch, marker, varint

PLACE = TopicPartition("t", 3)
Read = Callable[[bytes, int, list[tuple[int, int]]], tuple[list[Any], int]]


def by_unpacking(content: bytes, first: int, aborted: list[tuple[int, int]]) -> tuple[list[Any], int]:
    unpacking = Unpacking(("t", 3), content, first, aborted, True)
    return list(unpacking), unpacking.next_offset


def by_stream(content: bytes, first: int, aborted: list[tuple[int, int]]) -> tuple[list[Any], int]:
    records = StreamRecords(PLACE, _Kept(content), aborted, first, None, None, True, 1)
    return list(records), records.next_fetch_offset


class _Transaction:
    def __init__(self, producer_id: int, first_offset: int) -> None:
        self.producer_id, self.first_offset = producer_id, first_offset


class _Buffer:
    def __init__(self, content: bytes) -> None:
        self._buffer = content


def by_reader(content: bytes, first: int, aborted: list[tuple[int, int]]) -> tuple[list[Any], int]:
    told = [_Transaction(*one) for one in aborted]
    from kafka.protocol.consumer import IsolationLevel

    records = ReaderRecords(
        first, PLACE, _Buffer(content), isolation_level=IsolationLevel.READ_COMMITTED, aborted_transactions=told
    )
    return records.take(), records.next_fetch_offset


EVERY_WAY = pytest.mark.parametrize("read", [by_unpacking, by_stream, by_reader])
EVERY_CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def told(records: list[Any]) -> list[tuple[int, bytes | None, str]]:
    """Offset, value, and what is wrong with each record."""
    return [(one.offset, one.value, one.why if isinstance(one, OddRecord) else "") for one in records]


@EVERY_WAY
@EVERY_CODEC
def test_sound_records_come_as_they_are(read: Read, codec: int) -> None:
    said = [Said(b"k%d" % number, b"v" * number, [(b"name", b"x"), (b"none", None)]) for number in range(5)]
    records, after = read(library_batch(100, said, codec) + batch(105, [Said(None, None)], codec), 102, [])
    assert told(records) == [(102, b"vv", ""), (103, b"vvv", ""), (104, b"vvvv", ""), (105, None, "")]
    assert [one.key for one in records] == [b"k2", b"k3", b"k4", None]
    assert tuple(records[0].headers) == (("name", b"x"), ("none", None))
    assert after == 106


@EVERY_WAY
@EVERY_CODEC
def test_header_that_is_not_utf8_is_one_odd_record_among_its_neighbours(read: Read, codec: int) -> None:
    said = [Said(value=b"0"), Said(value=b"1", headers=[(b"tenant\xe9", b"x")]), Said(value=b"2")]
    records, after = read(batch(7, said, codec) + batch(10, [Said(value=b"3")], codec), 7, [])
    assert told(records) == [
        (7, b"0", ""),
        (8, b"1", "the name of header 1 is not UTF-8"),
        (9, b"2", ""),
        (10, b"3", ""),
    ]
    assert records[1].headers == (("tenant\\xe9", b"x"),)
    assert (records[1].key, records[1].end, records[1].is_damage, after) == (b"key", 9, False, 11)


def _body(rest: bytes) -> bytes:
    return b"\0" + varint(0) + varint(1) + rest


@EVERY_WAY
@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (_body(varint(400)), "its key gives a length"),
        (_body(varint(-1) + varint(9_999_999)), "its value gives a length"),
        (_body(varint(-1) + varint(-1) + varint(-5)), "more headers than it can hold"),
        (_body(varint(-1) + varint(-1) + varint(1 << 40)), "more headers than it can hold"),
        (_body(varint(-1) + varint(-1) + varint(1) + varint(-1)), "header 1 has no name"),
        (_body(varint(-1) + varint(-1) + varint(0) + b"more"), "bytes follow its headers"),
        (b"\0" + b"\xff" * 11, "a number in it does not end"),
        (b"", "a number in it does not end"),
    ],
)
def test_record_that_contradicts_itself_does_not_hide_the_next(read: Read, raw: bytes, why: str) -> None:
    records, after = read(batch(7, [Said(value=b"0"), Said(raw=raw), Said(value=b"2")]), 7, [])
    assert [one.offset for one in records] == [7, 8, 9]
    assert [bool(getattr(one, "why", "")) for one in records] == [False, True, False]
    assert why in records[1].why
    assert (records[2].value, after) == (b"2", 10)


@EVERY_WAY
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (batch(3, [Said(), Said()], break_crc=True), "its checksum is wrong"),
        (batch(3, [Said(), Said()], 5), "compressed by the unknown codec number 5"),
        (batch(3, [Said(), Said()], 1, payload=b"no gzip"), "cannot be decompressed as gzip"),
        (batch(3, [Said(), Said()], 2, payload=b"\xff\xff\xff\xff\x0f no snappy"), "cannot be decompressed as snappy"),
        (batch(3, [Said(), Said()], 3, payload=b"no lz4"), "cannot be decompressed as lz4"),
        (batch(3, [Said(), Said()], 4, payload=b"no zstd"), "cannot be decompressed as zstd"),
        (batch(3, [Said(length=10_000), Said()]), "record 1 of 2 gives a length"),
        (batch(3, [Said(length=-7), Said()]), "record 1 of 2 gives a length"),
    ],
)
def test_batch_whose_records_cannot_be_told_apart_is_damage_and_nothing_behind_it_is_read(
    read: Read, content: bytes, why: str
) -> None:
    before, behind = batch(0, [Said(value=b"a"), Said(value=b"b"), Said(value=b"c")]), batch(5, [Said()])
    records, after = read(before + content + behind, 1, [])
    assert told(records[:2]) == [(1, b"b", ""), (2, b"c", "")]
    (damage,) = [one for one in records[2:] if isinstance(one, OddRecord) and one.is_damage]
    assert why in damage.why
    assert damage.end == 5
    assert after == 5


@EVERY_WAY
def test_records_before_damage_in_their_batch_are_read(read: Read) -> None:
    content = batch(3, [Said(value=b"0"), Said(value=b"1", length=5_000), Said()])
    records, after = read(content, 3, [])
    assert told(records) == [
        (3, b"0", ""),
        (4, None, "the batch from 4 to 5: record 2 of 3 gives a length beyond the end of the batch"),
    ]
    assert (records[1].end, after) == (6, 6)


@EVERY_WAY
def test_batch_with_fewer_or_more_records_than_it_says(read: Read) -> None:
    fewer, after = read(batch(3, [Said(value=b"0"), Said(value=b"1", offset_delta=3)], count=4), 3, [])
    assert [one.offset for one in fewer] == [3, 6]
    assert after == 7
    more, after = read(batch(3, [Said(value=b"0"), Said(value=b"1"), Said(value=b"2")], count=2), 3, [])
    assert told(more)[:2] == [(3, b"0", ""), (4, b"1", "")]
    assert (more[2].offset, more[2].end, more[2].is_damage, after) == (5, 6, True, 6)


@EVERY_WAY
@pytest.mark.parametrize("length", [-1, 0, 3, 1 << 30])
def test_first_batch_with_a_false_length_is_damage_of_unknown_end(read: Read, length: int) -> None:
    content = bytearray(batch(3, [Said(), Said()]))
    content[8:12] = length.to_bytes(4, "big", signed=True)
    records, after = read(bytes(content), 4, [])
    assert [(one.offset, one.end, one.is_damage) for one in records] == [(4, 5, True)]
    assert after == 5


@EVERY_WAY
def test_last_batch_that_is_cut_off_waits_for_the_next_fetch(read: Read) -> None:
    records, after = read(batch(0, [Said()]) + batch(1, [Said()])[:-3], 0, [])
    assert [one.offset for one in records] == [0]
    assert after == 1


@EVERY_WAY
def test_aborted_records_and_markers_are_left_out_beside_an_odd_record(read: Read) -> None:
    odd = [Said(value=b"odd", headers=[(b"\xff", b"")])]
    content = (
        batch(0, odd)
        + batch(1, [Said(value=b"aborted")], producer=9)
        + batch(2, [Said(value=b"other")], producer=8)
        + marker(3, 9, commits=False)
        + batch(4, [Said(value=b"kept")], producer=9)
        + marker(5, 9, commits=True)
        + marker(6, 8, commits=True)
    )
    records, after = read(content, 0, [(9, 1)])
    assert [one.value for one in records] == [b"odd", b"other", b"kept"]
    assert after == 7
    records, after = read(batch(1, [Said()], producer=9) + marker(2, 9, commits=False), 1, [(9, 1)])
    assert (records, after) == ([], 3)


@EVERY_WAY
def test_record_of_any_bytes_and_times_is_a_record(read: Read) -> None:
    raw = b"\0" + varint(-(1 << 62)) + varint(0) + varint(2) + b"\xff\xfe" + varint(0) + varint(0)
    records, after = read(batch(0, [Said(raw=raw)]), 0, [])
    assert (records[0].key, records[0].value, records[0].timestamp, after) == (b"\xff\xfe", b"", -(1 << 62), 1)
    assert not getattr(records[0], "why", "")


def test_odd_records_are_told_apart_and_keep_what_they_hold_to_themselves() -> None:
    records, _ = by_stream(batch(0, [Said(b"secret", b"secret", [(b"\xffsecret", b"secret")])]), 0, [])
    assert is_odd(records)
    assert "secret" not in repr(records)
    sound, _ = by_stream(batch(0, [Said()]), 0, [])
    assert not is_odd(sound)
    assert type(sound[0]) is ConsumerRecord


MUCH = bytes(MOST_BATCH_BYTES)


@pytest.mark.parametrize(
    ("read", "codec"),
    [(by_unpacking, 1), (by_unpacking, 2), (by_unpacking, 3), (by_unpacking, 4), (by_stream, 4), (by_reader, 4)],
)
def test_batch_that_holds_far_more_than_it_takes_in_the_log_is_not_read_into_memory(read: Read, codec: int) -> None:
    one, several = batch(0, [Said(value=MUCH)], codec), batch(1, [Said(value=MUCH), Said()], codec)
    assert len(one) < MOST_BATCH_BYTES // 20
    records, after = read(one + batch(1, [Said(value=b"behind")]), 0, [])
    assert [offset for offset, _, _ in told(records)] == [0, 1]
    assert "holds more than 64 MiB when it is decompressed" in records[0].why
    assert not records[0].is_damage
    assert (records[0].value, records[1].value, after) == (None, b"behind", 2)
    (damage,), _ = read(several, 0, [])
    assert (damage.is_damage, damage.offset, damage.end) == (True, 1, 3)


def _old(value: bytes, magic: int, codec: int, offset: int = 0) -> bytes:
    """Return a message of an older version; with a codec, one that holds others."""
    built = LegacyRecordBatchBuilder(magic=magic, compression_type=codec, batch_size=1 << 30)
    # offsets inside of a message are absolute in version 0, and relative in version 1
    built.append(0 if magic else offset, timestamp=1, key=b"key", value=value)
    return offset.to_bytes(8, "big") + bytes(built.build())[8:]


@EVERY_WAY
@pytest.mark.parametrize(("magic", "codec"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)])
def test_record_of_an_old_version_comes_as_it_is(read: Read, magic: int, codec: int) -> None:
    records, after = read(_old(b"a", magic, codec) + _old(b"b", magic, codec, 1), 0, [])
    assert ([one.value for one in records], after) == ([b"a", b"b"], 2)


@pytest.mark.parametrize(("magic", "codec"), [(0, 1), (1, 1), (1, 2), (1, 3)])
@EVERY_WAY
def test_message_of_an_old_version_that_holds_far_more_than_it_takes_is_not_read_into_memory(
    read: Read, magic: int, codec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = _old(MUCH, magic, codec)
    assert len(content) < MOST_BATCH_BYTES // 20
    for name in ("gzip_decode", "snappy_decode", "lz4_decode"):
        monkeypatch.setattr(f"aiokafka.record.legacy_records.{name}", _not_without_a_limit)
        monkeypatch.setattr(f"kafka.record.legacy_records.{name}", _not_without_a_limit)
    records, after = read(content + batch(1, [Said(value=b"behind")]), 0, [])
    assert (records[0].is_damage, records[0].offset, records[0].end) == (True, 0, 1)
    assert "holds more than 64 MiB when it is decompressed" in records[0].why
    assert after == 1


def _not_without_a_limit(payload: bytes) -> bytes:
    raise AssertionError("the library decompresses it without a limit")


@EVERY_WAY
def test_messages_of_an_old_version_count_as_what_they_hold_in_what_one_poll_gives(read: Read) -> None:
    one = bytes(MOST_POLL_BYTES // 2)
    records, after = read(b"".join(_old(one, 1, 1, number) for number in range(5)), 0, [])
    assert (len(records), after) == (2, 2)


@EVERY_WAY
def test_what_one_poll_gives_is_bounded_and_the_rest_is_fetched_again(read: Read) -> None:
    value = bytes(MOST_POLL_BYTES // 2)
    fetch = b"".join(batch(number, [Said(value=value)], 4) for number in range(10))
    records, after = read(fetch, 0, [])
    assert (len(records), after) == (2, 2)
    records, after = read(fetch[2 * len(fetch) // 10 :], 2, [])
    assert ([one.offset for one in records], after) == ([2, 3], 4)


def test_partition_gives_one_batch_at_least_when_others_have_spent_what_a_poll_may_give() -> None:
    spent = Budget(left=0)
    kept = _Kept(batch(0, [Said(value=b"a")]) + batch(1, [Said(value=b"b")]), spent)
    records = StreamRecords(PLACE, kept, [], 0, None, None, True, 1)
    assert [one.value for one in records] == [b"a"]
    assert records.next_fetch_offset == 1
    spent.renew()
    kept = _Kept(batch(1, [Said(value=b"b")]) + batch(2, [Said(value=b"c")]), spent)
    assert [one.value for one in StreamRecords(PLACE, kept, [], 1, None, None, True, 1)] == [b"b", b"c"]


@EVERY_WAY
def test_snappy_block_that_says_a_false_length_is_damage_and_ends(read: Read) -> None:
    for size in (-4, 0, 10_000):
        payload = b"\x82SNAPPY\0" + bytes([0, 0, 0, 1, 0, 0, 0, 1]) + size.to_bytes(4, "big", signed=True) + b"1234"
        (damage,), _ = read(batch(0, [Said(), Said()], 2, payload=payload), 0, [])
        assert "cannot be decompressed as snappy" in damage.why


@pytest.mark.parametrize("is_odd_last", [False, True])
def test_records_of_a_batch_are_made_one_after_the_other(is_odd_last: bool) -> None:
    """A list of all records would be many times the bytes of a batch of tiny ones."""
    count = 5_000
    last = Said(value=b"1", headers=[(b"tenant\xe9", b"x")]) if is_odd_last else Said(value=b"1")
    content = batch(0, [*[Said(key=None, value=None)] * (count - 1), last])
    tracemalloc.start()
    try:
        seen = 0
        for record in Unpacking(("t", 3), content, 0, [], True):
            seen += 1
            final = record
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (seen, isinstance(final, OddRecord)) == (count, is_odd_last)
    assert peak < 3 * len(content)
