"""Golden records composed one by one, in plain Python: what the composition in columns is compared with.

Share composed like this before it did so in columns; the records of a warehouse must be the same to the byte.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.encode import Encoder
from hub.model.declaration import Aspect, Entity
from hub.model.texts.letters import compose_all
from hub.model.values.doubtful import DOUBTFUL
from hub.reconcile.rules.dossiers.links import SIBLING, linked_dossiers
from hub.share.columns.aspects import field_of, held_claims
from hub.share.dossier_fields import _DEADLINE, _deadlines, agencies_now, handling_agency
from hub.warehouse.tables.core import authority, same_key, source
from hub.warehouse.tables.entities import AspectTables, aspect_tables


class PlainComposer:
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
        groups = _groups_of(connection, self.entity.name, keys)
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
        for _ in self.entity.derived:
            for key, more in _dossier_fields(connection, records, held).items():
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


@dataclass(frozen=True, slots=True)
class _Groups:
    """The groups to which some keys belong: ``canonical`` by member; empty if no key is in a group."""

    canonical: Mapping[UUID, UUID]

    @property
    def members(self) -> frozenset[UUID]:
        """Every key of the groups."""
        return frozenset(self.canonical)

    def best(self, connection: Connection, tables: AspectTables, rows: Sequence[RowMapping]) -> Iterator[RowMapping]:
        """Yield the rows to publish: all rows of keys without a group; of a group, one row per part of the aspect."""
        if not self.canonical:
            yield from rows
            return
        of_groups: dict[tuple[object, ...], list[RowMapping]] = {}
        for row in rows:
            canonical = self.canonical.get(row["key"])
            if canonical is None:
                yield row
            else:
                parts = (row[name] for name in tables.aspect.part)
                of_groups.setdefault((canonical, *parts), []).append(row)
        if of_groups:
            ranks = _ranks(connection, tables.name)
            for rivals in of_groups.values():
                yield min(rivals, key=lambda row: self._order(ranks, row))

    def _order(self, ranks: Mapping[str, int], row: RowMapping) -> tuple[int, float, str, bool, UUID]:
        key, occurred_at = row["key"], row["occurred_at"]
        assert isinstance(occurred_at, datetime)
        return (
            ranks.get(row["source"], len(ranks)),
            -occurred_at.timestamp(),
            row["source"],
            key != self.canonical[key],
            key,
        )


def _groups_of(connection: Connection, entity: str, keys: Sequence[UUID]) -> _Groups:
    """Return the groups that contain any of the keys, with all their members."""
    mine = select(same_key.c.canonical).where(
        same_key.c.entity == entity, same_key.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid)))
    )
    found = select(same_key.c.key, same_key.c.canonical).where(
        same_key.c.entity == entity, same_key.c.canonical.in_(mine)
    )
    return _Groups({row.key: row.canonical for row in connection.execute(found, {"keys": list(keys)})})


def _ranks(connection: Connection, aspect: str) -> dict[str, int]:
    ranks = select(source.c.code, authority.c.rank).join_from(source, authority, authority.c.source == source.c.id)
    return {code: rank for code, rank in connection.execute(ranks.where(authority.c.aspect == aspect))}


def _dossier_fields(
    connection: Connection, records: Mapping[UUID, Mapping[str, Any]], held: Mapping[str, Mapping[UUID, UUID]]
) -> dict[UUID, dict[str, Any]]:
    """Return the additional fields of some records.

    Args:
        connection: of the warehouse.
        records: dossiers' records by the key under which they are published, with their aspects.
        held: by aspect, for records that have it: the key of the claim that holds it.
    """
    progress_keys = held.get("progress", {})
    agencies = {key: agency for key, record in records.items() if (agency := handling_agency(record)) is not None}
    now = agencies_now(connection, set(agencies.values()))
    found: dict[UUID, dict[str, Any]] = {}
    for row in connection.execute(_deadlines(), {"keys": sorted(set(progress_keys.values()))}).mappings():
        found[row["key"]] = {name: row[name] for name in _DEADLINE}
    links: dict[UUID, list[dict[str, Any]]] = {}
    for row in connection.execute(linked_dossiers(), {"keys": sorted(records)}).mappings():
        if row["relation"] != SIBLING:
            links.setdefault(row["asked"], []).append(
                {"relation": row["relation"], "dossier_code": row["dossier_code"]}
            )
    return {
        key: {
            "handling_agency": agencies.get(key),
            "handling_agency_now": now.get(agencies.get(key, "")),
            "deadline": found.get(progress_keys[key]) if key in progress_keys else None,
            "linked_dossiers": links.get(key),
        }
        for key in records
    }
