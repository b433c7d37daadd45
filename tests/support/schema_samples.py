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


_OF_KIND: dict[str, Any] = {
    "pin": "000299000001",
    "pin_or_other": "000299000002",
    "cmnd9": "013000001",
    "si_number": "0130000001",
    "phone": "0912 345 678",
    "email": "an@example.vn",
    "country_code": "VN",
    "province_code": "01",
    "district_code": "001",
    "commune_code": "00004",
    "unit_code": "00004",
    "year": 2099,
    "month": 7,
    "day": 7,
    "year_month": "2025-07",
    "score": 5,
    "eid_level": 2,
    "reuse_level": 3,
    "sha256": "ab" * 32,
    "doubtful_fields": "commune_code PADDED LEADING_ZEROS_LOST",
}
"""Values that keep the rule of their kind, where any text or number does not."""


def sample_value(spec: FieldSpec) -> Any:
    """Return a fixed valid value of a field."""
    if spec.kind is FieldKind.JSON:
        item = {inner.name: sample_value(inner) for inner in spec.items}
        return [item] if spec.is_array else item
    if spec.symbols:
        return spec.symbols[0]
    if spec.text_format == "date-time":
        return "2025-06-30T16:59:59.999999Z"
    if spec.value_kind in _OF_KIND:
        return _OF_KIND[spec.value_kind]
    return _VALUES[spec.kind]


def sample_event(version: SchemaVersion, *, optional: bool = True, **given: Any) -> dict[str, Any]:
    """Return a valid event: all fields, or the required ones only, with ``given`` values in place of the fixed ones."""
    fields = [spec for spec in version.fields if optional or not spec.nullable]
    return {spec.name: sample_value(spec) for spec in fields} | given
