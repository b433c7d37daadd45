"""The guarded decoder with its real child process: every kind of bad record."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import polars as pl
import psutil
import pytest

from hub.codec.catalogue import load_catalogue
from hub.codec.polars_types import dtype_of
from hub.codec.wire import frame, header
from hub.intake.decode.decoder import Decoded, GuardedDecoder
from hub.model.outcomes import Reason
from hub.topology import MAX_RECORD_BYTES
from tests.support.encoded_events import SUBJECT, WHEN, event


@pytest.fixture(scope="module")
def decoder() -> Iterator[GuardedDecoder]:
    with GuardedDecoder(timeout_s=10, memory_mb=512) as started:
        yield started


def _with(place: bytes, value: bytes, by: bytes) -> bytes:
    assert value.count(place) == 1
    return value.replace(place, by)


GOOD = event(1)
BAD: dict[str, tuple[bytes | None, Reason]] = {
    "tombstone": (None, Reason.TOMBSTONE),
    "empty": (b"", Reason.EMPTY),
    "too large": (GOOD + b"\0" * 10_000_000, Reason.TOO_LARGE),
    "just too large": (GOOD + b"\0" * (MAX_RECORD_BYTES + 1 - len(GOOD)), Reason.TOO_LARGE),
    "wrong magic": (b"\1" + GOOD[1:], Reason.BAD_MAGIC),
    "cut header": (GOOD[:3], Reason.NOT_DECODABLE),
    "header alone": (GOOD[:5], Reason.NOT_DECODABLE),
    "unknown id": (frame(999_999, GOOD[5:]), Reason.UNKNOWN_SCHEMA_ID),
    "another subject": (event(1, "procedure.changed"), Reason.WRONG_SUBJECT),
    "truncated": (GOOD[:-1], Reason.NOT_DECODABLE),
    "truncated early": (GOOD[:20], Reason.NOT_DECODABLE),
    "one byte more": (GOOD + b"\0", Reason.TRAILING_BYTES),
    "another event behind it": (GOOD + GOOD, Reason.TRAILING_BYTES),
    "invalid UTF-8": (_with("nguồn".encode(), GOOD, b"\xff\xfengu\xff\xff"), Reason.NOT_DECODABLE),
    "a length that lies": (_with(b"\x12ngu", GOOD, b"\x14ngu"), Reason.NOT_DECODABLE),
    "a negative length": (_with(b"\x12ngu", GOOD, b"\x01ngu"), Reason.NOT_DECODABLE),
}


def _rows(decoded: Decoded) -> list[tuple[int, str]]:
    return list(zip(decoded.frame["row"].to_list(), decoded.frame["source_system"].to_list(), strict=True))


def test_decoder_gives_every_field_of_the_latest_schema_with_its_type(decoder: GuardedDecoder) -> None:
    decoded = decoder.decode(SUBJECT, [event(1), event(2)])
    expected = {"row": pl.UInt32(), **{spec.name: dtype_of(spec) for spec in load_catalogue().latest(SUBJECT).fields}}
    assert dict(decoded.frame.schema) == expected
    assert decoded.frame["occurred_at"].to_list() == [WHEN, WHEN]
    assert decoded.frame["event_id"].to_list() == [UUID(int=7).bytes] * 2
    assert (decoded.path, decoded.poison) == ("block", ())


def test_decoder_gives_an_empty_frame_when_there_is_nothing(decoder: GuardedDecoder) -> None:
    decoded = decoder.decode(SUBJECT, [])
    assert decoded.frame.height == 0
    assert decoded.frame.width == len(load_catalogue().latest(SUBJECT).fields) + 1


@pytest.mark.parametrize("kind", BAD)
def test_decoder_names_the_reason_and_leaves_neighbours_alone_when_a_record_is_bad(
    decoder: GuardedDecoder, kind: str
) -> None:
    value, reason = BAD[kind]
    values: list[bytes | None] = [event(number) for number in range(100)]
    values[40] = value
    decoded = decoder.decode(SUBJECT, values)
    assert [(found.row, found.reason) for found in decoded.poison] == [(40, reason)]
    assert _rows(decoded) == [(row, f"nguồn {row}") for row in range(100) if row != 40]


def test_decoder_keeps_the_order_when_all_kinds_of_bad_records_are_in_one_batch(decoder: GuardedDecoder) -> None:
    values = [value for bad, _ in BAD.values() for value in (GOOD, bad)]
    decoded = decoder.decode(SUBJECT, values)
    assert [(found.row, found.reason) for found in decoded.poison] == [
        (2 * number + 1, reason) for number, (_, reason) in enumerate(BAD.values())
    ]
    assert decoded.frame["row"].to_list() == list(range(0, len(values), 2))


def test_decoder_refuses_an_enum_index_and_a_time_out_of_range(decoder: GuardedDecoder) -> None:
    operation_at = len(header(0)) + 16
    late = GOOD[:operation_at] + b"\xfe" + b"\xff" * 8 + b"\x01" + GOOD[operation_at + 8 :]
    symbol = _with("nguồn 1".encode() + b"\x02x\x00\x02\x00", GOOD, "nguồn 1".encode() + b"\x02x\x00\x02\x0e")
    decoded = decoder.decode(SUBJECT, [GOOD, late, symbol, GOOD])
    assert [(found.row, found.reason, found.detail) for found in decoded.poison] == [
        (1, Reason.INVALID_VALUE, "occurred_at: not in the years 1 to 9999"),
        (2, Reason.NOT_DECODABLE, "operation: an enum index out of range"),
    ]
    assert decoded.frame["row"].to_list() == [0, 3]


def test_poison_holds_no_data_of_the_record(decoder: GuardedDecoder) -> None:
    secret = event(1, source_system="Nguyen Van A")
    decoded = decoder.decode(SUBJECT, [secret[:-1], secret + b"\0", secret[:40]])
    assert all("Nguyen" not in found.detail for found in decoded.poison)


def test_decoder_child_inherits_no_credential_and_no_socket() -> None:
    with socket.socket() as ours:
        ours.set_inheritable(True)
        with GuardedDecoder(timeout_s=10, memory_mb=512) as started:
            process = psutil.Process(started.child_id)
            assert process.environ().keys() <= {"PYTHONPATH", "POLARS_MAX_THREADS", "RUST_BACKTRACE", "LC_CTYPE"}
            links = {os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").glob("*")}
        assert f"socket:[{os.fstat(ours.fileno()).st_ino}]" not in links


def test_i5_every_record_comes_back_once_when_a_count_exhausts_the_childs_memory(decoder: GuardedDecoder) -> None:
    subject = "dossier.submitted"
    before = decoder.restarts
    good = event(1, subject, fees=[{"name": "PHI-9", "amount_vnd": 1}])
    place = good.index(b"PHI-9") - 1
    start = good.rindex(b"\x02", 0, place)  # the array's count of one item
    huge = good[:start] + b"\x80\x80\x80\x20" + good[start + 1 :]
    decoded = decoder.decode(subject, [good, huge, good])
    assert decoder.restarts == before + 1
    assert [(found.row, found.reason) for found in decoded.poison] == [(1, Reason.NOT_DECODABLE)]
    assert decoded.frame["row"].to_list() == [0, 2]
    assert '"name":"PHI-9"' in decoded.frame["fees"][0]
