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
from hub.codec.wire import HEADER_BYTES, frame
from hub.intake.decode.nodes import Node, record_node
from tests.property.decoder_subjects import OWN
from tests.property.decoder_wire import Token, tokens, twisted, written

_REAL_SHARE = 0.06
_UNUSUAL_SHARE = 0.15
_TWISTED_SHARE = 0.25
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("", "a", "Nguyễn Thị Ánh", "Đống Đa", '"\\/\b\f\n\r\t\x01\x1f\x7f', "🎉\u2028\uffff", "x" * 70, "\\u0000")


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
    data: list[tuple[SchemaVersion, dict[str, Any]]] = []
    for row in range(count):
        version = chance.choice(catalogue.versions(subject))
        datum = _datum(chance, version.schema)
        values.append(frame(version.schema_id, _written(chance, version, datum)))
        data.append((version, datum))
        expected[row] = {"row": row, **_as_latest(datum, catalogue.latest(subject))}
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, count))):
        row = chance.randrange(count)
        if chance.random() < _TWISTED_SHARE:
            version, datum = data[row]
            values[row] = frame(version.schema_id, written(twisted(_tokens(version, datum, None), chance)))
        else:
            values[row] = chance.choice(MUTATIONS)(chance, values, row)
        expected.pop(row, None)
    return Case(seed, catalogue, subject, values, expected)


def _written(chance: random.Random, version: SchemaVersion, datum: Mapping[str, Any]) -> bytes:
    if chance.random() < _UNUSUAL_SHARE:
        return written(_tokens(version, datum, chance), chance)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _parsed(version), dict(datum))
    return out.getvalue()


@cache
def _parsed(version: SchemaVersion) -> Any:
    return fastavro.parse_schema(dict(version.schema))


def _tokens(version: SchemaVersion, datum: Mapping[str, Any], chance: random.Random | None) -> list[Token]:
    node = record_node(version.schema)
    return tokens(node, _physical(node, datum), chance)


def _physical(node: Node, value: Any) -> Any:
    if value is None:
        return None
    if node.kind == "record":
        return {field.name: _physical(field.node, value.get(field.name)) for field in node.fields}
    if node.kind == "array" and node.items is not None:
        return [_physical(node.items, item) for item in value]
    if node.kind == "enum":
        return node.symbols.index(value)
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return (value - _EPOCH.date()).days if isinstance(value, date) else value


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
