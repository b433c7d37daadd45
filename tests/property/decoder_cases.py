"""Mutated batches for the decoder's differential fuzz: everything about a case follows from its seed.

A case is a batch of one subject. Most of its records are good, and what they must decode to is known; the others were
damaged in ways that networks, disks, faulty producers and hostile ones damage them. The subjects are two small ones
of the test's own, which hold every kind of field in two versions, and now and then one of the project's.
"""

import io
import json
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import fastavro

from hub.codec.catalogue import Catalogue, SchemaVersion, load_catalogue
from hub.codec.fields import fields_of
from hub.codec.wire import HEADER_BYTES, frame

_REAL_SHARE = 0.06
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("", "a", "Nguyễn Thị Ánh", "Đống Đa", '"\\/\b\f\n\r\t\x01\x1f\x7f', "🎉\u2028\uffff", "x" * 70, "\\u0000")
_COLOURS = ["RED", "GREEN", "BLUE"]


def _nullable(avro: Any) -> list[Any]:
    return ["null", avro]


def _field(name: str, avro: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, "data_class": "INTERNAL", "vn_name": "x", "doc": "x", **more}


def _optional(name: str, avro: Any, **more: Any) -> dict[str, Any]:
    return _field(name, _nullable(avro), default=None, **more)


def _part(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Part", "fields": list(fields)}


_TIME = {"type": "long", "logicalType": "timestamp-micros"}
_DAY = {"type": "int", "logicalType": "date"}
_PART_V1 = _part(_field("name", "string"), _optional("amount", "long"), _optional("paid", "boolean"))
_PART_V2 = _part(*_PART_V1["fields"], _optional("note", "string"), _optional("day", _DAY), _optional("rate", "double"))
_SHARED = [
    _field("event_id", {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}),
    _field("at", _TIME),
    _field("text", "string"),
    _field("count", "int"),
    _field("version", "long"),
    _field("colour", {"type": "enum", "name": "Colour", "symbols": _COLOURS}),
    _optional("maybe", "string"),
    _optional("day", _DAY),
    _optional("flag", "boolean"),
]
_V1 = [*_SHARED, _optional("old_name", "int"), _optional("parts", {"type": "array", "items": _PART_V1})]
_V2 = [
    *_SHARED[:-1],
    _field("flag", ["null", "boolean"], default=None),
    _optional("new_name", "int", aliases=["old_name"]),
    _optional("parts", {"type": "array", "items": _PART_V2}),
    _optional("ratio", "double"),
    _optional("shade", {"type": "enum", "name": "Shade", "symbols": ["DARK", "LIGHT"]}),
    _optional("lines", {"type": "array", "items": {**_PART_V1, "name": "Line"}}),
]


def _version(subject: str, number: int, schema_id: int, fields: list[dict[str, Any]]) -> SchemaVersion:
    schema = {"type": "record", "name": "changed", "namespace": f"hub.{subject}", "fields": fields}
    return SchemaVersion(subject, number, schema_id, schema, fields_of(schema))


OWN = Catalogue(
    [
        _version("fuzz.changed", 1, 1, _V1),
        _version("fuzz.changed", 2, 2, _V2),
        _version("small.changed", 1, 3, _SHARED[:4]),
    ]
)
"""The subjects of the test's own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A batch, and by index what its undamaged records must decode to (as a row of the frame)."""

    seed: int
    catalogue: Catalogue
    subject: str
    values: list[bytes | None]
    expected: dict[int, dict[str, Any]]


def case(seed: int) -> Case:
    """Return the case of a seed."""
    chance = random.Random(seed)
    catalogue = load_catalogue() if chance.random() < _REAL_SHARE else OWN
    subject = chance.choice([name for name in catalogue.subjects if not name.endswith(".record")])
    count = chance.choice((1, 2, 3, 4, 5, 8, 13, 21, 50))
    values: list[bytes | None] = []
    expected: dict[int, dict[str, Any]] = {}
    for row in range(count):
        version = chance.choice(catalogue.versions(subject))
        datum = _datum(chance, version.schema)
        values.append(frame(version.schema_id, _written(version, datum)))
        expected[row] = {"row": row, **_as_latest(datum, catalogue.latest(subject))}
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, count))):
        row = chance.randrange(count)
        values[row] = chance.choice(MUTATIONS)(chance, values, row)
        expected.pop(row, None)
    return Case(seed, catalogue, subject, values, expected)


def _written(version: SchemaVersion, datum: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _parsed(version), dict(datum))
    return out.getvalue()


@cache
def _parsed(version: SchemaVersion) -> Any:
    return fastavro.parse_schema(dict(version.schema))


def _as_latest(datum: Mapping[str, Any], latest: SchemaVersion) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in latest.schema["fields"]:
        names = (field["name"], *field.get("aliases", ()))
        value = next((datum[name] for name in names if name in datum), None)
        row[field["name"]] = _json_text(value, field["type"]) if isinstance(value, list) else value
    return row


def _json_text(parts: list[dict[str, Any]], avro: Any) -> str:
    array = avro[1] if isinstance(avro, list) else avro
    names = [field["name"] for field in array["items"]["fields"]]
    whole = [{name: part.get(name) for name in names} for part in parts]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), default=lambda day: day.isoformat())


def _datum(chance: random.Random, record: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    return {field["name"]: _value(chance, field["type"], named) for field in record["fields"]}


def _value(chance: random.Random, avro: Any, named: dict[str, Any]) -> Any:
    if isinstance(avro, list):
        inner = next(branch for branch in avro if branch != "null")
        value = _value(chance, inner, named)
        return None if chance.random() < 0.4 else value
    if isinstance(avro, dict):
        kind = avro.get("logicalType") or avro["type"]
        if "name" in avro:
            named[f"{avro.get('namespace', '')}.{avro['name']}"] = avro
    else:
        if "." in avro:
            return _value(chance, named[avro], named)
        kind = avro
    if kind == "array":
        return [_datum(chance, avro["items"]) for _ in range(chance.choice((0, 0, 1, 2, 5)))]
    if kind == "enum":
        return chance.choice(avro["symbols"])
    return _PLAIN[kind](chance)


def _whole(bits: int) -> Callable[[random.Random], int]:
    edges = (0, -1, 1, 63, 64, -64, -65, (1 << (bits - 1)) - 1, -(1 << (bits - 1)))
    return lambda chance: chance.choice(edges) if chance.random() < 0.5 else chance.randrange(1 << (bits - 2))


_PLAIN: dict[str, Callable[[random.Random], Any]] = {
    "uuid": lambda chance: chance.randbytes(16),
    "string": lambda chance: chance.choice(_TEXTS) if chance.random() < 0.6 else _embedded(chance),
    "int": _whole(32),
    "long": _whole(64),
    "boolean": lambda chance: chance.random() < 0.5,
    "double": lambda chance: chance.choice((0.0, -1.5, 1e300, 1e-7, 0.1, 123456789.0)),
    "timestamp-micros": lambda chance: _EPOCH + timedelta(microseconds=chance.randrange(-(1 << 52), 1 << 52)),
    "date": lambda chance: date(1970, 1, 1) + timedelta(days=chance.randrange(-700_000, 2_900_000)),
}


def _embedded(chance: random.Random) -> str:
    """Return text that looks like lengths and data, as a hostile producer may send it; without NUL."""
    raw = bytes(chance.choice((1, 2, 3, 5, 10, 32, 65, 97, 127)) for _ in range(chance.randrange(40)))
    return raw.decode("ascii")


Mutation = Callable[[random.Random, list[bytes | None], int], bytes | None]


def _truncate(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    value = values[row] or b""
    return value[: chance.randrange(len(value) + 1)]


def _extend(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    tail = chance.choice((b"\0", b"\0" * 12, chance.randbytes(chance.randrange(1, 20)), values[row - 1] or b"\2"))
    return (values[row] or b"") + tail


def _flip(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    raw = bytearray(values[row] or b"\0")
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


def _splice(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    one, other = values[row] or b"", values[row - 1] or b""
    return one[: chance.randrange(len(one) + 1)] + other[chance.randrange(len(other) + 1) :]


def _swap(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    raw = bytearray(values[row] or b"\0")
    a, b = chance.randrange(len(raw)), chance.randrange(len(raw))
    raw[a], raw[b] = raw[b], raw[a]
    return bytes(raw)


def _header(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    value = values[row] or b""
    magic = chance.choice((0, 0, 0, 1, 255))
    return struct.pack(">BI", magic, chance.choice((0, 1, 2, 3, 1001, 1002, 4_000_000_000))) + value[HEADER_BYTES:]


def _varint(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    """Put a strange variable-length number somewhere: too long, not minimal, huge, negative, beyond 64 bits."""
    value = values[row] or b""
    strange = chance.choice(
        (
            b"\x80" * chance.randrange(1, 40) + b"\0",
            b"\x80\x00",
            b"\xff" * 9 + chance.choice((b"\x01", b"\x03", b"\x7f")),
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x80\x10",
            chance.choice((b"\x01", b"\x03", b"\x04", b"\x7f", b"\xfe\xff\xff\xff\x0f")),
        )
    )
    place = chance.randrange(min(HEADER_BYTES, len(value)), len(value) + 1)
    return value[:place] + strange + value[place + chance.choice((0, 1)) :]


def _repeat(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    value = values[row] or b""
    return value + value[chance.choice((0, HEADER_BYTES)) :]


def _slice_twice(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    value = values[row] or b""
    start, end = sorted(chance.randrange(len(value) + 1) for _ in range(2))
    return value[:end] + value[start:]


def _rubbish(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    value = values[row] or b""
    return value[:HEADER_BYTES] + chance.randbytes(chance.randrange(60))


def _byte(chance: random.Random, values: list[bytes | None], row: int) -> bytes:
    raw = bytearray(values[row] or b"\0")
    raw[chance.randrange(len(raw))] = chance.choice((0, 1, 2, 3, 127, 128, 255))
    return bytes(raw)


MUTATIONS: tuple[Mutation, ...] = (
    _truncate,
    _truncate,
    _extend,
    _flip,
    _flip,
    _flip,
    _splice,
    _swap,
    _header,
    _varint,
    _varint,
    _repeat,
    _slice_twice,
    _rubbish,
    _byte,
    _byte,
    lambda _chance, _values, _row: None,
    lambda _chance, _values, _row: b"",
)
