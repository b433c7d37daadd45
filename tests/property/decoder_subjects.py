"""The subjects of the decoder's fuzz: small ones that hold every kind of field, one of them in two versions."""

from typing import Any

from hub.codec.catalogue import Catalogue, SchemaVersion
from hub.codec.fields import fields_of

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
