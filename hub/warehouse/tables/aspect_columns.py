"""Columns of an aspect's tables, derived from its declaration and its schema, and the names of added columns."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import DataClass, FieldKind
from hub.model.declaration import Aspect
from hub.model.entities import named_by_key
from hub.model.values.doubtful import DOUBTFUL
from hub.warehouse.tables.core import utc_time

_TYPES: dict[FieldKind, TypeEngine[Any]] = {
    FieldKind.STRING: Text(),
    FieldKind.ENUM: Text(),
    FieldKind.INT: Integer(),
    FieldKind.LONG: BigInteger(),
    FieldKind.BOOLEAN: Boolean(),
    FieldKind.DOUBLE: Double(),
    FieldKind.UUID: Uuid(),
    FieldKind.TIMESTAMP: utc_time,
    FieldKind.DATE: Date(),
    FieldKind.JSON: JSONB(),
}

PROVENANCE = ("event_id", "occurred_at", "recorded_at", "operation", "unit_scheme", "source_agency")
"""Envelope fields stored with a claim, in addition to source, epoch and version."""


def old_value(field: str) -> str:
    """Return the column of ``merged`` with a watched field's value in the previous claim."""
    return f"old_{field}"


def new_value(field: str) -> str:
    """Return the column of ``merged`` with a watched field's value in the written claim."""
    return f"new_{field}"


def other_key(field: str) -> str:
    """Return the column that holds the key of the thing that a field names: a citizen by PIN, a dossier by code."""
    return f"{field}_key"


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that several tables of an aspect have; created for each table, since a column belongs to one table."""

    aspect: Aspect
    version: SchemaVersion

    @property
    def sensitive_names(self) -> list[str]:
        """Fields of data class SENSITIVE, which are stored in a separate table."""
        data = [field for field in self.version.data_fields if field.name not in self.aspect.part]
        return [field.name for field in data if field.data_class is DataClass.SENSITIVE]

    def identity(self) -> list[Column[Any]]:
        """Key and parts: what identifies a record."""
        parts = {field.name: _TYPES[field.kind] for field in self.version.data_fields if field.name in self.aspect.part}
        return [
            Column("key", Uuid, nullable=False),
            *(Column(name, parts[name], nullable=False) for name in self.aspect.part),
        ]

    def order(self) -> list[Column[Any]]:
        """Source, version, and a digest of the content."""
        return [
            Column("source", SmallInteger, nullable=False),
            Column("source_epoch", Integer, nullable=False),
            Column("source_version", BigInteger, nullable=False),
            Column("content_hash", BigInteger, nullable=False),
            Column("revoked", Boolean, nullable=False),
        ]

    def content(self) -> list[Column[Any]]:
        """Envelope and data, keys of other entities that are named, flags, notes about values that broke their rule."""
        kinds = {field.name: field.kind for field in self.version.fields}
        apart = {*self.aspect.part, *self.sensitive_names}
        data = [field.name for field in self.version.data_fields if field.name not in apart]
        return [
            *(Column(name, _TYPES[kinds[name]], nullable=False) for name in PROVENANCE),
            *(Column(name, _TYPES[kinds[name]]) for name in data),
            *(Column(other_key(name), Uuid) for name in named_by_key(self.aspect)),
            Column("flags", Integer),
            Column(DOUBTFUL, Text),
            *(
                [Column("sensitive", Boolean, nullable=False, server_default=text("false"))]
                if self.sensitive_names
                else []
            ),
        ]

    def watched(self) -> list[Column[Any]]:
        """Each watched field's value in the previous claim, and in the written one."""
        kinds = {field.name: field.kind for field in self.version.fields}
        return [Column(of(name), _TYPES[kinds[name]]) for name in self.aspect.watched for of in (old_value, new_value)]

    def sensitive(self) -> list[Column[Any]]:
        """The sensitive fields themselves."""
        kinds = {field.name: field.kind for field in self.version.fields}
        return [Column(name, _TYPES[kinds[name]]) for name in self.sensitive_names]
