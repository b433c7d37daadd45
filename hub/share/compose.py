"""Compose golden records: for each key, the claims that hold its aspects, as one value of the entity's record schema.

Records are composed from what is stored now. So a key that changed many times is published once, and composing twice
gives the same bytes. A key of which no source holds an aspect any more gives None: a tombstone. All records of a call
are composed together, column by column; no step looks at a single one but what the schema refuses.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from hub.codec.columns import composed_texts
from hub.codec.encode import Encoder
from hub.model.declaration import Derived, Entity
from hub.share.columns.aspects import AspectColumns, HeldClaims, field_of
from hub.share.columns.records import Keys, RecordColumns, Records, keys_array
from hub.share.columns.revision import listed, revisions
from hub.share.columns.rows import Rows, RowsField, value_of
from hub.share.dossier_fields import DossierFields
from hub.share.groups import groups_of

_FIELDS = {Derived.HANDLING: DossierFields}
"""What adds the fields of a record that are derived from several claims."""


class Composer:
    """Composes and encodes the golden records of one entity."""

    def __init__(self, entity: Entity, secret: str) -> None:
        self.entity = entity
        self._encoder = Encoder(f"{entity.name}.record", secret)
        version = self._encoder.version
        self._rows = {spec.name: RowsField(version, spec.name) for spec in version.fields if spec.items}
        self._aspects = [AspectColumns(entity, aspect, self._rows[field_of(aspect)]) for aspect in entity.aspects]
        self._derived = [_FIELDS[derived]() for derived in entity.derived]
        self._whole = RecordColumns(version)

    def compose(self, connection: Connection, keys: Keys) -> dict[UUID, bytes | None]:
        """Return each key's encoded record, or None if no source holds any aspect of it; see ``records``.

        Raises:
            PoisonError: the schema refuses a value of one of them.
        """
        return self.records(connection, keys).by_key(self.encode)

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return one record's framed bytes; raises PoisonError."""
        return self._encoder.encode(record)

    def records(self, connection: Connection, keys: Keys) -> Records:
        """Return each key's record, or null if no source holds any aspect of it.

        Keys of one thing give one record, under the key of the group; the other keys give null. Texts are in composed
        letters (NFC), whatever form a source used; the claim keeps the source's form.
        """
        keys = keys_array(keys)
        groups = groups_of(connection, self.entity.name, keys)
        wanted = groups.with_all(keys)
        held = {one.aspect.name: one.read(connection, wanted, groups) for one in self._aspects}
        texts = [one.identities(held[one.aspect.name]) for one in self._aspects]
        is_held = reduce(pc.or_, [text.is_valid() for text in texts])
        columns: dict[str, Any] = {"key": wanted, **self._key_fields(list(held.values()))}
        rows = {one.name: one.composed(held[one.aspect.name]) for one in self._aspects}
        for derived in self._derived:
            found = derived.read(connection, wanted.filter(is_held), wanted, held)
            texts.append(found.text)
            rows |= found.rows
            columns |= found.columns
        columns["revision"] = revisions(listed(texts))
        pieces = {name: self._rows[name].encode(inside) for name, inside in rows.items()}
        values, refused = self._whole.encode(is_held, columns | pieces)
        return Records(wanted, values, refused, lambda place: self._one(place, columns, rows))

    def _key_fields(self, held: Sequence[HeldClaims]) -> dict[str, pa.Array]:
        """Return the fields that identify the entity: those of the published key, else of the first claim."""
        found = {}
        for name in self.entity.key:
            values = [one.own[name] for one in reversed(held) if one.own]
            values += [one.rows.one_each(one.rows.columns[name]) for one in held if len(one.rows.records)]
            if values:
                found[name] = composed_texts(pc.coalesce(*values))
        return found

    def _one(self, place: int, columns: Mapping[str, pa.Array], rows: Mapping[str, Rows]) -> dict[str, Any]:
        """Return a record by its fields."""
        found: dict[str, Any] = {}
        for spec in self._encoder.version.fields:
            if spec.name in rows:
                inside = rows[spec.name].of_record(place, self._rows[spec.name].specs)
                alone = inside[0] if inside else None
                found[spec.name] = (inside if inside or not spec.nullable else None) if spec.is_array else alone
            elif spec.name in columns:
                found[spec.name] = value_of(columns[spec.name][place], spec)
        return found
