"""Tables of an aspect, derived from its declaration and its schema.

``<entity>_<aspect>_claim`` holds each source's newest claim; ``..._record`` says whose claim is the golden record. The
record does not repeat the claim's fields: the golden record is the claim to which the record row points. Fields of data
class SENSITIVE are in ``..._sensitive``, so that a role can read claims without reading them. If the declaration asks
for it, ``..._history`` holds every accepted version that is not a source's newest.

A claim has two flags for the merge. ``revoked``: the source withdrew its claim. ``contested``: the record of this key
must be decided among several claims, or was revoked. If it is false, the claim is the only one and holds the record,
and the merge handles it in one step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    and_,
    text,
)

from hub.codec.catalogue import load_catalogue
from hub.codec.fields import FieldSpec
from hub.model.declaration import Aspect, Entity
from hub.model.entities import ENTITIES, named_by_key
from hub.model.errors import ConfigError
from hub.warehouse.tables.aspect_columns import Columns, other_key
from hub.warehouse.tables.core import metadata


@dataclass(frozen=True, slots=True)
class AspectTables:
    """The tables of one aspect and the column names that the merge needs.

    Fields:
        identity: columns that identify a record: the key and the aspect's parts.
        data: the schema's data fields, in order.
        stage: temporary table of a batch's rows.
        merged: temporary table of what the merge did with them.
        sensitive: companion of the claims with the fields of data class SENSITIVE; None if there are none.
        history: accepted versions that are not a source's newest; None if not declared.
    """

    entity: Entity
    aspect: Aspect
    claim: Table
    record: Table
    stage: Table
    merged: Table
    sensitive: Table | None
    history: Table | None
    identity: tuple[str, ...]
    data: tuple[FieldSpec, ...]

    @property
    def name(self) -> str:
        """``<entity>.<aspect>``: the name used by conflicts and reviews."""
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
class WholeClaim:
    """A claim with its sensitive companion: the FROM clause, and each column by its name."""

    source: FromClause
    c: Mapping[str, ColumnElement[Any]]


def whole_claim(tables: AspectTables, alias: str = "") -> WholeClaim:
    """Return a claim joined to its sensitive companion.

    Args:
        tables: the aspect's.
        alias: of the claim, so that a statement can have several; the companion's alias ends in ``_sensitive``.
    """
    claim = tables.claim.alias(alias) if alias else tables.claim
    columns: dict[str, ColumnElement[Any]] = {column.name: column for column in claim.columns}
    if tables.sensitive is None:
        return WholeClaim(claim, columns)
    companion = tables.sensitive.alias(f"{alias}_sensitive") if alias else tables.sensitive
    same = and_(*(companion.c[name] == claim.c[name] for name in (*tables.identity, "source")))
    columns |= {column.name: column for column in companion.columns if column.name not in columns}
    return WholeClaim(claim.outerjoin(companion, same), columns)


def _build(entity: Entity, aspect: Aspect) -> AspectTables:
    version = load_catalogue().latest(aspect.subject)
    columns = Columns(aspect, version)
    prefix = f"{entity.name}_{aspect.name}"
    identity = ("key", *aspect.part)
    return AspectTables(
        entity,
        aspect,
        _claim(prefix, columns, identity),
        _record(prefix, columns, identity),
        _stage(prefix, columns),
        _merged(prefix, columns),
        _sensitive(prefix, columns, identity) if columns.sensitive_names else None,
        _history(prefix, columns, identity) if aspect.history else None,
        identity,
        version.data_fields,
    )


def _claim(prefix: str, columns: Columns, identity: tuple[str, ...]) -> Table:
    aspect = columns.aspect
    return Table(
        f"{prefix}_claim",
        metadata,
        *columns.identity(),
        *columns.order(),
        Column("contested", Boolean, nullable=False),
        *columns.content(),
        PrimaryKeyConstraint(*identity, "source"),
        *(_index(prefix, fields) for fields in aspect.indexes),
        *(_index(prefix, (other_key(name),)) for name in named_by_key(aspect)),
        info={"aspect": aspect.subject},
    )


def _index(prefix: str, fields: tuple[str, ...]) -> Index:
    """Return an index without the rows that have null in its first field: few rows, if the field is rarely set."""
    name = f"{prefix}_claim_{'_'.join(fields)}"
    return Index(name, *fields, postgresql_where=text(f"{fields[0]} IS NOT NULL"))


def _record(prefix: str, columns: Columns, identity: tuple[str, ...]) -> Table:
    return Table(
        f"{prefix}_record",
        metadata,
        *columns.identity(),
        Column("source", SmallInteger),
        PrimaryKeyConstraint(*identity),
        info={"aspect": columns.aspect.subject},
    )


def _sensitive(prefix: str, columns: Columns, identity: tuple[str, ...]) -> Table:
    return Table(
        f"{prefix}_sensitive",
        metadata,
        *columns.identity(),
        Column("source", SmallInteger, nullable=False),
        *columns.sensitive(),
        PrimaryKeyConstraint(*identity, "source"),
        info={"aspect": columns.aspect.subject},
    )


def _history(prefix: str, columns: Columns, identity: tuple[str, ...]) -> Table:
    if columns.sensitive_names:
        raise ConfigError([f"{prefix}: an aspect with sensitive fields cannot keep a history"])
    return Table(
        f"{prefix}_history",
        metadata,
        *columns.identity(),
        *columns.order(),
        *columns.content(),
        PrimaryKeyConstraint(*identity, "source", "source_epoch", "source_version"),
        info={"aspect": columns.aspect.subject},
    )


def _stage(prefix: str, columns: Columns) -> Table:
    return Table(
        f"{prefix}_stage",
        metadata,
        Column("log", SmallInteger, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("turn", SmallInteger, nullable=False),
        Column("turn_hash", BigInteger),
        Column("newest", Boolean, nullable=False),
        *columns.identity(),
        *columns.order(),
        *columns.content(),
        *columns.sensitive(),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
        info={"temporary": True},
    )


def _merged(prefix: str, columns: Columns) -> Table:
    return Table(
        f"{prefix}_merged",
        metadata,
        *columns.identity(),
        Column("source", SmallInteger, nullable=False),
        Column("inserted", Boolean, nullable=False),
        Column("contested", Boolean, nullable=False),
        Column("was_contested", Boolean, nullable=False, server_default=text("false")),
        Column("held", Boolean, nullable=False, server_default=text("true")),
        Column("moved", Boolean, nullable=False, server_default=text("false")),
        Column("had_sensitive", Boolean),
        Column("old_epoch", Integer),
        Column("old_version", BigInteger),
        Column("old_hash", BigInteger),
        *columns.watched(),
        *([Column("tracked_changed", Boolean)] if columns.aspect.tracked else []),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
        info={"temporary": True},
    )
