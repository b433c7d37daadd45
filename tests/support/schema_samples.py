"""Valid events of every subject, made from its schema."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from hub.codec.catalogue import FieldKind, FieldSpec, SchemaVersion

OCCURRED_AT = datetime(2025, 6, 30, 16, 59, 59, 999999, tzinfo=UTC)

_VALUES: dict[FieldKind, Any] = {
    FieldKind.STRING: "Đường Trần Phú",
    FieldKind.INT: 7,
    FieldKind.LONG: 1_500_000,
    FieldKind.BOOLEAN: True,
    FieldKind.DOUBLE: 0.5,
    FieldKind.UUID: UUID(int=1).bytes,
    FieldKind.TIMESTAMP: OCCURRED_AT,
    FieldKind.DATE: date(2025, 7, 1),
}


def sample_value(spec: FieldSpec) -> Any:
    """Return a fixed valid value of a field."""
    if spec.kind is FieldKind.JSON:
        item = {inner.name: sample_value(inner) for inner in spec.items}
        return [item] if spec.is_array else item
    if spec.symbols:
        return spec.symbols[0]
    if spec.text_format == "date-time":
        return "2025-06-30T16:59:59.999999Z"
    return _VALUES[spec.kind]


def sample_event(version: SchemaVersion, *, optional: bool = True, **given: Any) -> dict[str, Any]:
    """Return a valid event: all fields, or the required ones only, with ``given`` values in place of the fixed ones."""
    fields = [spec for spec in version.fields if optional or not spec.nullable]
    return {spec.name: sample_value(spec) for spec in fields} | given
