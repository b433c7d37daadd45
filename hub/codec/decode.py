"""Decode single framed values, for consumers and screens; ``hub.intake`` decodes whole batches."""

import io
from typing import Any

import fastavro

from hub.codec import wire
from hub.codec.catalogue import SchemaVersion, load_catalogue
from hub.model.errors import PoisonError
from hub.model.outcomes import Reason


def decode(value: bytes) -> tuple[SchemaVersion, dict[str, Any]]:
    """Return the schema version with which a value was written, and its fields.

    Raises:
        PoisonError: BAD_MAGIC, UNKNOWN_SCHEMA_ID or NOT_DECODABLE.
    """
    schema_id, datum = wire.unframe(value)
    version = load_catalogue().by_id(schema_id)
    if version is None:
        raise PoisonError(Reason.UNKNOWN_SCHEMA_ID, f"schema id {schema_id} was never published")
    try:
        fields = fastavro.schemaless_reader(io.BytesIO(datum), dict(version.schema))
    except (ValueError, IndexError, EOFError, TypeError, OverflowError) as error:
        raise PoisonError(Reason.NOT_DECODABLE, type(error).__name__) from error
    if not isinstance(fields, dict):
        raise PoisonError(Reason.NOT_DECODABLE, "not a record")
    return version, fields


MASK = "•••"
_SHOWN = frozenset({"PUBLIC", "INTERNAL"})


def masked(fields: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Return the fields with every value of class PERSONAL or SENSITIVE replaced; a null stays null."""
    by_name = {field["name"]: field for field in schema["fields"]}
    return {name: _masked_value(value, by_name[name]) for name, value in fields.items()}


def _masked_value(value: Any, field: Any) -> Any:
    if value is None:
        return None
    nested = _record_in(field["type"])
    if nested is not None and isinstance(value, dict):
        return masked(value, nested)
    if nested is not None and isinstance(value, list):
        return [masked(item, nested) for item in value]
    return value if field.get("data_class") in _SHOWN else MASK


def _record_in(kind: Any) -> Any:
    """Return the record schema inside a field's type, if any."""
    if isinstance(kind, list):
        return next((found for found in map(_record_in, kind) if found is not None), None)
    if isinstance(kind, dict) and kind.get("type") == "record":
        return kind
    if isinstance(kind, dict) and kind.get("type") == "array":
        return _record_in(kind["items"])
    return None
