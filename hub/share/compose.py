"""Compose golden records: for each key, the claims that hold its aspects, as one value of the entity's record schema.

Records are composed from what is stored now. So a key that changed many times is published once, and composing twice
gives the same bytes. A key of which no source holds an aspect any more gives None: a tombstone.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Uuid, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.encode import Encoder
from hub.model.declaration import Aspect, Derived, Entity, UnitField
from hub.model.texts.letters import compose_all
from hub.model.values.doubtful import DOUBTFUL
from hub.reconcile.rules.units.claimed_unit import resolution_of
from hub.share.dossier_fields import dossier_fields
from hub.share.groups import groups_of
from hub.warehouse.tables.core import source
from hub.warehouse.tables.entities import AspectTables, aspect_tables, whole_claim
from hub.warehouse.tables.units import today

_FIELDS = {Derived.HANDLING: dossier_fields}
"""What adds the fields of a record that are derived from several claims."""
_HEADER = ("occurred_at", "source_epoch", "source_version", "operation", "unit_scheme")


class Composer:
    """Composes and encodes the golden records of one entity."""

    def __init__(self, entity: Entity, secret: str) -> None:
        self.entity = entity
        self._encoder = Encoder(f"{entity.name}.record", secret)

    def compose(self, connection: Connection, keys: Sequence[UUID]) -> dict[UUID, bytes | None]:
        """Return each key's encoded record, or None if no source holds any aspect of it; see ``records``.

        Raises:
            PoisonError: the schema refuses a value of one of them.
        """
        found = self.records(connection, keys)
        return {key: None if record is None else self.encode(record) for key, record in found.items()}

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return one record's framed bytes; raises PoisonError."""
        return self._encoder.encode(record)

    def records(self, connection: Connection, keys: Sequence[UUID]) -> dict[UUID, dict[str, Any] | None]:
        """Return each key's record by its fields, or None if no source holds any aspect of it.

        Keys of one thing give one record, under the key of the group; the other keys give None. Texts are in composed
        letters (NFC), whatever form a source used; the claim keeps the source's form.
        """
        groups = groups_of(connection, self.entity.name, keys)
        wanted = sorted({*keys, *groups.members, *groups.canonical.values()})
        records: dict[UUID, dict[str, Any]] = {}
        claims: dict[UUID, list[object]] = {}
        own: dict[UUID, dict[str, Any]] = {}
        held: dict[str, dict[UUID, UUID]] = {}
        published_under = frozenset(groups.canonical.values())
        for aspect in self.entity.aspects:
            tables = aspect_tables(aspect.subject)
            rows = connection.execute(held_claims(tables), {"keys": wanted}).mappings().all()
            own |= {row["key"]: self._key_of(row) for row in rows if row["key"] in published_under}
            for row in groups.best(connection, tables, rows):
                key = groups.canonical.get(row["key"], row["key"])
                held.setdefault(aspect.name, {})[key] = row["key"]
                claims.setdefault(key, []).append(_identity_of(aspect, row))
                self._add(records, aspect, dict(row) | {"key": key})
        for key, record in records.items():
            record |= own.get(key, {})
        for derived in self.entity.derived:
            for key, more in _FIELDS[derived](connection, records, held).items():
                records[key] |= more
                claims[key].append(more)
        for key, record in records.items():
            record["revision"] = _revision(claims[key])
            compose_all(record)
        return {key: records.get(key) for key in wanted}

    def _add(self, records: dict[UUID, dict[str, Any]], aspect: Aspect, row: dict[str, Any]) -> None:
        key = row.pop("key")
        del row["content_hash"]
        of_entity = {name: row.pop(name) for name in self.entity.key}
        record = records.setdefault(key, self._empty(key) | of_entity)
        if aspect.part:
            record[field_of(aspect)].append(row)
        else:
            record[field_of(aspect)] = row

    def _key_of(self, row: RowMapping) -> dict[str, Any]:
        return {name: row[name] for name in self.entity.key}

    def _empty(self, key: UUID) -> dict[str, Any]:
        parts: dict[str, list[Any]] = {field_of(aspect): [] for aspect in self.entity.aspects if aspect.part}
        return {"key": key, **parts}


def _identity_of(aspect: Aspect, row: RowMapping) -> object:
    """Return what distinguishes a claim in a record from every other: its version, its content, today's unit."""
    now = [row[f"{unit.code}_now"] for unit in aspect.units]
    parts = [str(row[name]) for name in aspect.part]
    version = (row["source"], row["source_epoch"], row["source_version"], row["content_hash"])
    resolutions = [row[unit.resolution] for unit in aspect.units] or [None]
    parts += [row[DOUBTFUL]] if row[DOUBTFUL] is not None else []
    return (aspect.name, *parts, *version, *now, *resolutions)


def _revision(claims: Sequence[object]) -> int:
    """Return a digest of the claims in a record: two records are equal if and only if their revisions are equal."""
    digest = hashlib.sha256(repr(claims).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def field_of(aspect: Aspect) -> str:
    """Return the record schema's field for an aspect: its name, in the plural if a key can have several."""
    return f"{aspect.name}s" if aspect.part else aspect.name


@cache
def held_claims(tables: AspectTables) -> Select[tuple[object, ...]]:
    """Select the claims that hold the records of ``:keys``, ordered by identity."""
    whole, record = whole_claim(tables), tables.record
    claim = tables.claim
    columns: list[ColumnElement[Any]] = [
        claim.c.key,
        claim.c.content_hash,
        source.c.code.label("source"),
        *(claim.c[name] for name in _HEADER),
        claim.c[DOUBTFUL],
    ]
    columns += [whole.c[field.name] for field in tables.data]
    for unit in tables.aspect.units:
        columns += resolved_unit(tables, unit)
    same = and_(*(claim.c[name] == record.c[name] for name in tables.identity), claim.c.source == record.c.source)
    keys = func.any(bindparam("keys", type_=ARRAY(Uuid)))
    return (
        select(*columns)
        .join_from(record, whole.source, same)
        .join(source, source.c.id == claim.c.source)
        .where(record.c.key == keys)
        .order_by(*(record.c[name] for name in tables.identity))
    )


def resolved_unit(tables: AspectTables, unit: UnitField) -> list[Any]:
    """Return columns ``<code>_now`` and ``<resolution>``: today's unit of a claim, if the code alone determines it.

    EXACT: the code, on the day it was said, means one unit today. AMBIGUOUS: it may be several units; a review is open,
    and none of the candidates is applied. MANUAL: an officer chose one of them. UNKNOWN: there is no such unit, or
    nobody stated what became of it.
    """
    now, resolution = resolution_of(tables, tables.claim, unit, today())
    return [now.label(f"{unit.code}_now"), resolution.label(unit.resolution)]
