"""The claims that hold one aspect's records: read as columns, one claim per group and part, spread over the records."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Connection, Select, Uuid, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.columns import composed_texts
from hub.codec.fields import FieldKind
from hub.model.declaration import Aspect, Entity, UnitField
from hub.model.values.doubtful import DOUBTFUL
from hub.reconcile.rules.units.claimed_unit import resolution_of
from hub.share.columns.revision import joined, number_literals, text_literals, texts_or
from hub.share.columns.rows import Rows, RowsField, texts_of_rows
from hub.share.groups import Groups
from hub.warehouse.fetch import TEXT, fetch_columns
from hub.warehouse.tables.core import source
from hub.warehouse.tables.entities import AspectTables, aspect_tables, whole_claim
from hub.warehouse.tables.units import today

_HEADER = ("occurred_at", "source_epoch", "source_version", "operation", "unit_scheme")


def field_of(aspect: Aspect) -> str:
    """Return the record schema's field for an aspect: its name, in the plural if a key can have several."""
    return f"{aspect.name}s" if aspect.part else aspect.name


@dataclass(frozen=True, slots=True)
class HeldClaims:
    """The claims that hold one aspect of some records.

    Fields:
        rows: with the claims' columns; texts as the sources wrote them.
        own: by key field, the values of claims under the key that is published itself, one a record; null without one.
        under: the key of each row's claim.
    """

    rows: Rows
    own: Mapping[str, pa.Array]
    under: pa.Array


class AspectColumns:
    """Reads and encodes one aspect of an entity's records."""

    def __init__(self, entity: Entity, aspect: Aspect, field: RowsField) -> None:
        self.aspect, self._entity = aspect, entity
        self.name = field_of(aspect)
        self.tables = aspect_tables(aspect.subject)
        self._texts = [name for name, spec in field.specs.items() if spec.kind is FieldKind.STRING]

    def read(self, connection: Connection, wanted: pa.Array, groups: Groups) -> HeldClaims:
        """Return the claims that hold this aspect of the records of some keys, which are in order."""
        columns = fetch_columns(connection, held_claims(self.tables), {"keys": wanted})
        under = columns["key"]
        own = self._own(columns, wanted, groups)
        kept = groups.best(connection, self.tables, columns)
        if kept is not None:
            columns = {name: column.take(kept) for name, column in columns.items()}
            under = columns["key"]
        records = pc.index_in(groups.published_under(under), value_set=wanted).cast(pa.int64())
        if kept is not None:
            order = pc.sort_indices(records)
            columns = {name: column.take(order) for name, column in columns.items()}
            records, under = records.take(order), under.take(order)
        return HeldClaims(Rows(columns, records, len(wanted)), own, under)

    def _own(self, columns: Mapping[str, pa.Array], wanted: pa.Array, groups: Groups) -> dict[str, pa.Array]:
        if groups.is_empty:
            return {}
        places = pc.index_in(wanted, value_set=columns["key"])
        places = pc.if_else(pc.is_in(wanted, value_set=groups.canonical), places, pa.scalar(None, pa.int32()))
        return {name: columns[name].take(places) for name in self._entity.key}

    def composed(self, held: HeldClaims) -> Rows:
        """Return the rows with texts in composed letters."""
        columns = dict(held.rows.columns)
        for name in self._texts:
            if name in columns:
                columns[name] = composed_texts(columns[name])
        return Rows(columns, held.rows.records, held.rows.count)

    def identities(self, held: HeldClaims) -> pa.Array:
        """Return what distinguishes the claims in each record from every other, as Python writes it; null: none.

        Of each claim its version, its content, today's unit.
        """
        columns, aspect = held.rows.columns, self.aspect
        if not len(held.rows.records):
            return pa.nulls(held.rows.count, TEXT)
        parts: list[pa.Array | str] = [f"({aspect.name!r}"]
        for name in aspect.part:
            parts += [", ", text_literals(columns[name])]
        parts.append(texts_or(columns[DOUBTFUL], ", "))
        parts += [", ", text_literals(columns["source"])]
        for name in ("source_epoch", "source_version", "content_hash"):
            parts += [", ", number_literals(columns[name])]
        for unit in aspect.units:
            parts += [", ", text_literals(columns[f"{unit.code}_now"])]
        for unit in aspect.units:
            parts += [", ", text_literals(columns[unit.resolution])]
        parts.append(")" if aspect.units else ", None)")
        return texts_of_rows(held.rows, joined(*parts))


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
