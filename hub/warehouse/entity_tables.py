"""Tables of an aspect, derived from its declaration and its schema.

``<entity>_<aspect>_claim`` holds each source's newest claim, ``..._record`` says whose claim is the golden record.
The record does not repeat the claim's fields: the golden record is the claim that the record row points to.

A claim carries two flags for the merge. ``revoked``: the source took its claim back. ``contested``: the record of
this key must be decided among several claims, or was revoked; while false, the claim is the only one and holds the
record, and the merge is done with it in one step.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from hub.codec.catalogue import SchemaVersion, load_catalogue
from hub.codec.fields import FieldKind, FieldSpec
from hub.model.entities import ENTITIES, Aspect, Entity
from hub.warehouse.tables import metadata, utc_time

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
"""Envelope fields kept with a claim, beside source, epoch and version."""


@dataclass(frozen=True, slots=True)
class AspectTables:
    """The tables of one aspect and the column names that the merge needs.

    Fields:
        identity: columns that identify a record: the key and the aspect's parts.
        data: the schema's data fields, in order.
        stage: temporary table of a batch's rows; ``merged``: temporary table of what the merge did with them.
    """

    entity: Entity
    aspect: Aspect
    claim: Table
    record: Table
    stage: Table
    merged: Table
    identity: tuple[str, ...]
    data: tuple[FieldSpec, ...]

    @property
    def name(self) -> str:
        """``<entity>.<aspect>``: how conflicts and reviews refer to it."""
        return f"{self.entity.name}.{self.aspect.name}"


@cache
def aspect_tables(subject: str) -> AspectTables:
    """Return the tables of the aspect that a subject feeds."""
    for entity in ENTITIES:
        for aspect in entity.aspects:
            if aspect.subject == subject:
                return _build(entity, aspect)
    raise KeyError(subject)


def all_aspect_tables() -> tuple[AspectTables, ...]:
    """Return the tables of every declared aspect."""
    return tuple(aspect_tables(aspect.subject) for entity in ENTITIES for aspect in entity.aspects)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns that several tables of an aspect have; made anew for each, since a column belongs to one table."""

    aspect: Aspect
    version: SchemaVersion

    def identity(self) -> list[Column[Any]]:
        parts = {field.name: _TYPES[field.kind] for field in self.version.data_fields if field.name in self.aspect.part}
        return [
            Column("key", Uuid, nullable=False),
            *(Column(name, parts[name], nullable=False) for name in self.aspect.part),
        ]

    def order(self) -> list[Column[Any]]:
        return [
            Column("source", SmallInteger, nullable=False),
            Column("source_epoch", Integer, nullable=False),
            Column("source_version", BigInteger, nullable=False),
            Column("content_hash", BigInteger, nullable=False),
            Column("revoked", Boolean, nullable=False),
        ]

    def content(self) -> list[Column[Any]]:
        kinds = {field.name: field.kind for field in self.version.fields}
        data = [field.name for field in self.version.data_fields if field.name not in self.aspect.part]
        return [
            *(Column(name, _TYPES[kinds[name]], nullable=False) for name in PROVENANCE),
            *(Column(name, _TYPES[kinds[name]]) for name in data),
        ]


def _build(entity: Entity, aspect: Aspect) -> AspectTables:
    version = load_catalogue().latest(aspect.subject)
    columns = _Columns(aspect, version)
    prefix = f"{entity.name}_{aspect.name}"
    identity = ("key", *aspect.part)
    claim = Table(
        f"{prefix}_claim",
        metadata,
        *columns.identity(),
        *columns.order(),
        Column("contested", Boolean, nullable=False),
        *columns.content(),
        PrimaryKeyConstraint(*identity, "source"),
        *(Index(f"{prefix}_claim_{'_'.join(fields)}", *fields) for fields in aspect.indexes),
        info={"aspect": aspect.subject},
    )
    record = Table(
        f"{prefix}_record",
        metadata,
        *columns.identity(),
        Column("source", SmallInteger),
        PrimaryKeyConstraint(*identity),
        info={"aspect": aspect.subject},
    )
    stage, merged = _stage(prefix, columns), _merged(prefix, columns)
    return AspectTables(entity, aspect, claim, record, stage, merged, identity, version.data_fields)


def _stage(prefix: str, columns: _Columns) -> Table:
    return Table(
        f"{prefix}_stage",
        metadata,
        Column("log", SmallInteger, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("turn", SmallInteger, nullable=False),
        Column("newest", Boolean, nullable=False),
        *columns.identity(),
        *columns.order(),
        *columns.content(),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
        info={"temporary": True},
    )


def _merged(prefix: str, columns: _Columns) -> Table:
    return Table(
        f"{prefix}_merged",
        metadata,
        *columns.identity(),
        Column("source", SmallInteger, nullable=False),
        Column("inserted", Boolean, nullable=False),
        Column("contested", Boolean, nullable=False),
        Column("held", Boolean, nullable=False, server_default=text("true")),
        Column("old_epoch", Integer),
        Column("old_version", BigInteger),
        Column("old_hash", BigInteger),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
        info={"temporary": True},
    )
