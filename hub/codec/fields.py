"""The fields of a schema as the hub uses them: kind, nullability, data class, and the version that introduced them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class DataClass(StrEnum):
    """How openly a field's values may be shown; all masking uses it. Ordered from open to closed."""

    PUBLIC = "PUBLIC"
    INTERNAL = "INTERNAL"
    PERSONAL = "PERSONAL"
    SENSITIVE = "SENSITIVE"


class FieldKind(StrEnum):
    """The kind of a field's values: the few kinds that the hub handles column by column."""

    STRING = "string"
    INT = "int"
    LONG = "long"
    BOOLEAN = "boolean"
    DOUBLE = "double"
    ENUM = "enum"
    UUID = "uuid"
    """``fixed`` of 16 bytes."""
    TIMESTAMP = "timestamp"
    """``timestamp-micros``, UTC."""
    DATE = "date"
    JSON = "json"
    """An array or a record; a column holds its canonical JSON text."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a schema.

    Fields:
        since: number of the schema version that introduced it.
        symbols: the symbols of an ENUM; for a STRING inside a list: its closed list, if it has one.
        symbol_names: Vietnamese name of each symbol, in order; empty if the schema has none.
        symbol_codes: the national portal's number of each symbol, in order; None for a symbol without one.
        text_format: ``date-time`` for a STRING that holds an RFC 3339 time in UTC, else empty.
        max_length: maximum number of characters of a STRING; None if the schema has no limit.
        value_kind: the kind of value (``hub.model.values.kinds``), whose rule its values keep; empty if it has none.
        null_means: what a null of an optional field says; empty if it says nothing.
        items: the fields of the record, or of the array's records, of a JSON.
        is_array: whether a JSON is an array, not a single record.
    """

    name: str
    kind: FieldKind
    nullable: bool
    data_class: DataClass
    vn_name: str
    doc: str
    since: int = 1
    symbols: tuple[str, ...] = ()
    symbol_names: tuple[str, ...] = ()
    symbol_codes: tuple[int | None, ...] = ()
    text_format: str = ""
    max_length: int | None = None
    value_kind: str = ""
    null_means: str = ""
    items: tuple["FieldSpec", ...] = ()
    is_array: bool = False

    @property
    def is_droppable(self) -> bool:
        """Whether a value that breaks its rule may become null: the field is optional, and a null says nothing."""
        return self.nullable and not self.null_means


class UnsupportedTypeError(ValueError):
    """A schema uses an Avro type that the hub does not support; the message names it."""


_PLAIN = {
    "string": FieldKind.STRING,
    "int": FieldKind.INT,
    "long": FieldKind.LONG,
    "boolean": FieldKind.BOOLEAN,
    "double": FieldKind.DOUBLE,
}
_LOGICAL = {("long", "timestamp-micros"): FieldKind.TIMESTAMP, ("int", "date"): FieldKind.DATE}
_UUID_BYTES = 16


def fields_of(schema: Mapping[str, Any], since: Mapping[str, int] | None = None) -> tuple[FieldSpec, ...]:
    """Return the fields of a record schema, in order.

    Args:
        schema: the parsed JSON of an Avro record.
        since: the version that introduced each top-level field; 1 for fields that it does not have.

    Raises:
        UnsupportedTypeError: naming the first field whose type the hub does not support.
    """
    return _fields(schema, since or {}, {})


def _fields(
    schema: Mapping[str, Any], since: Mapping[str, int], named: dict[str, Mapping[str, Any]], namespace: str = ""
) -> tuple[FieldSpec, ...]:
    namespace = schema.get("namespace", namespace)
    return tuple(_field(field, since.get(field["name"], 1), named, namespace) for field in schema["fields"])


def _field(field: Mapping[str, Any], since: int, named: dict[str, Mapping[str, Any]], namespace: str) -> FieldSpec:
    avro, nullable = _without_null(field)
    if isinstance(avro, str) and avro not in _PLAIN:
        avro = named.get(avro) or named.get(f"{namespace}.{avro}") or {"type": avro}
    if isinstance(avro, str):
        avro = {"type": avro}
    name = avro.get("name")
    if name:
        named[f"{avro.get('namespace', namespace)}.{name}"] = avro
    kind = _kind(field["name"], avro)
    items: tuple[FieldSpec, ...] = ()
    if kind is FieldKind.JSON:
        record = avro["items"] if avro["type"] == "array" else avro
        if not isinstance(record, dict) or record.get("type") != "record":
            raise UnsupportedTypeError(f"{field['name']}: a list of values that are not records")
        items = _fields(record, {}, named, namespace)
    said = avro if kind is FieldKind.ENUM else field
    symbols = tuple(said.get("symbols", said.get("allowed", ())))
    return FieldSpec(
        name=field["name"],
        kind=kind,
        nullable=nullable,
        data_class=DataClass(field.get("data_class", DataClass.SENSITIVE)),
        vn_name=field.get("vn_name", ""),
        doc=field.get("doc", ""),
        since=since,
        symbols=symbols,
        symbol_names=tuple(said["vn_names"].get(symbol, "") for symbol in symbols) if "vn_names" in said else (),
        symbol_codes=tuple(said["src_codes"].get(symbol) for symbol in symbols) if "src_codes" in said else (),
        text_format=field.get("format", ""),
        max_length=field.get("max_length"),
        value_kind=field.get("kind", ""),
        null_means=field.get("null_means", ""),
        items=items,
        is_array=avro["type"] == "array",
    )


def _without_null(field: Mapping[str, Any]) -> tuple[Any, bool]:
    avro = field["type"]
    if not isinstance(avro, list):
        return avro, False
    others = [branch for branch in avro if branch != "null"]
    if len(others) != 1 or len(avro) != len(others) + 1:
        raise UnsupportedTypeError(f"{field['name']}: a union other than of null and one type")
    return others[0], True


def _kind(name: str, avro: Mapping[str, Any]) -> FieldKind:
    plain = avro["type"]
    logical = avro.get("logicalType")
    if plain in ("array", "record"):
        return FieldKind.JSON
    if plain == "enum":
        return FieldKind.ENUM
    if plain == "fixed" and avro.get("size") == _UUID_BYTES:
        return FieldKind.UUID
    if logical is not None and (plain, logical) in _LOGICAL:
        return _LOGICAL[(plain, logical)]
    if logical is None and plain in _PLAIN:
        return _PLAIN[plain]
    raise UnsupportedTypeError(f"{name}: type {plain!r}" + (f" with logical type {logical!r}" if logical else ""))
