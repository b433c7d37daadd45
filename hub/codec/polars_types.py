"""The polars type of each kind of field; the block path, the row path and the staging tables use the same."""

import polars as pl

from hub.codec.fields import FieldKind, FieldSpec

_DTYPES: dict[FieldKind, pl.DataType] = {
    FieldKind.STRING: pl.String(),
    FieldKind.ENUM: pl.String(),
    FieldKind.INT: pl.Int32(),
    FieldKind.LONG: pl.Int64(),
    FieldKind.BOOLEAN: pl.Boolean(),
    FieldKind.DOUBLE: pl.Float64(),
    FieldKind.UUID: pl.Binary(),
    FieldKind.TIMESTAMP: pl.Datetime("us", "UTC"),
    FieldKind.DATE: pl.Date(),
    FieldKind.JSON: pl.String(),
}


def dtype_of(spec: FieldSpec) -> pl.DataType:
    """Return the type of a field's column; a JSON is its canonical compact text."""
    return _DTYPES[spec.kind]
