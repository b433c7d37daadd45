"""The strict reader of single data: what it accepts and what it refuses."""

import struct
from typing import Any

import pytest

from hub.intake.decode.nodes import record_node
from hub.intake.decode.row_path import DatumError, DatumReader

_ITEM = {"type": "record", "name": "Item", "fields": [{"name": "a", "type": "string"}]}


def _read(avro: Any, content: bytes) -> Any:
    node = record_node({"type": "record", "name": "Outer", "fields": [{"name": "x", "type": avro}]})
    values, end = DatumReader(node).read(content, 0)
    assert end == len(content)
    return values[0]


@pytest.mark.parametrize(
    ("avro", "content", "value"),
    [
        ("long", b"\x00", 0),
        ("long", b"\x01", -1),
        ("long", b"\x80\x01", 64),
        ("long", b"\x80\x00", 0),
        ("long", b"\xff" * 9 + b"\x01", -(1 << 63)),
        ("long", b"\xff" * 9 + b"\x7f", -(1 << 63)),
        ("long", b"\xfe" + b"\xff" * 8 + b"\x01", (1 << 63) - 1),
        ("int", b"\xff\xff\xff\xff\x0f", -(1 << 31)),
        ("boolean", b"\x01", True),
        ("double", struct.pack("<d", -0.5), -0.5),
        ("string", b"\x06\xe1\xbb\x9d", "ờ"),
        (["null", "string"], b"\x00", None),
        (["string", "null"], b"\x02", None),
        (["null", "string"], b"\x02\x02a", "a"),
        ({"type": "fixed", "name": "F", "size": 2}, b"ab", b"ab"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x08", 4),
        ({"type": "array", "items": _ITEM}, b"\x00", []),
        ({"type": "array", "items": _ITEM}, b"\x02\x02a\x02\x02b\x00", [{"a": "a"}, {"a": "b"}]),
        ({"type": "array", "items": _ITEM}, b"\x03\x08\x02a\x02b\x00", [{"a": "a"}, {"a": "b"}]),
    ],
)
def test_row_path_reads_what_avro_allows(avro: Any, content: bytes, value: Any) -> None:
    assert _read(avro, content) == value


@pytest.mark.parametrize(
    ("avro", "content", "problem"),
    [
        ("long", b"", "ends early"),
        ("long", b"\x80", "ends early"),
        ("long", b"\x80" * 10 + b"\x00", "more than ten bytes"),
        ("int", b"\x80\x80\x80\x80\x10", "beyond 32 bits"),
        ("boolean", b"\x02", "neither 0 nor 1"),
        ("double", b"1234567", "ends early"),
        ("string", b"\x01", "negative length"),
        ("string", b"\x04a", "ends early"),
        ("string", b"\xfe" + b"\xff" * 8 + b"\x01a", "ends early"),
        ("string", b"\x06\xed\xa0\x80", "invalid UTF-8"),
        (["null", "string"], b"\x01\x02a", "union index"),
        (["null", "string"], b"\x04\x02a", "union index"),
        ({"type": "fixed", "name": "F", "size": 2}, b"a", "ends early"),
        ({"type": "array", "items": _ITEM}, b"\x02", "longer than its datum"),
        ({"type": "array", "items": _ITEM}, b"\xfe" + b"\xff" * 8 + b"\x01\x02a\x00", "longer than its"),
        ({"type": "array", "items": _ITEM}, b"\xff" * 9 + b"\x01\x00\x02a\x00", "longer than its"),
    ],
)
def test_row_path_names_field_and_problem_when_bytes_mean_nothing(avro: Any, content: bytes, problem: str) -> None:
    with pytest.raises(DatumError, match=f"^x: .*{problem}"):
        _read(avro, content)


@pytest.mark.parametrize("avro", ["bytes", "float", ["null", "int", "long"], {"type": "map", "values": "int"}])
def test_record_node_refuses_types_that_the_decoder_does_not_read(avro: Any) -> None:
    with pytest.raises(ValueError, match="the decoder"):
        record_node({"type": "record", "name": "Outer", "fields": [{"name": "x", "type": avro}]})
