"""Fields of a dossier's golden record that are not in its claims: today's agency, deadline, linked dossiers.

The agency is the one that carries on the handling agency's work on the day of composing. What changes from one second
to the next is left out: for an open dossier the deadline gives the due time, not how late it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Select, Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.columns import composed_texts
from hub.reconcile.rules.dossiers.links import SIBLING, linked_dossiers
from hub.share.columns.aspects import HeldClaims
from hub.share.columns.revision import joined, number_literals, text_literals, time_literals, truth_literals
from hub.share.columns.rows import Rows, texts_of_rows
from hub.warehouse.fetch import TEXT, fetch_columns
from hub.warehouse.tables.dossiers import dossier_deadline
from hub.warehouse.tables.units import agency_on, today

_HANDLING = (("progress", "processing_agency"), ("submission", "deciding_agency"), ("submission", "receiving_agency"))
"""Where the handling agency is named, in order of preference."""

_DEADLINE = (
    "calendar_version",
    "started_at",
    "due_at",
    "finished_at",
    "paused_since",
    "paused_seconds",
    "used_seconds",
    "on_time",
    "overdue_seconds",
)


@dataclass(frozen=True, slots=True)
class DerivedFields:
    """Fields that are derived from several claims.

    Fields:
        text: all of them as Python writes them, for the revision; one text a record.
        columns: plain fields, one value a record.
        rows: fields that hold records.
    """

    text: pa.Array
    columns: Mapping[str, pa.Array]
    rows: Mapping[str, Rows]


class DossierFields:
    """Reads the additional fields of dossiers' records."""

    def read(
        self, connection: Connection, asked: pa.Array, keys: pa.Array, held: Mapping[str, HeldClaims]
    ) -> DerivedFields:
        """Return the fields.

        Args:
            connection: of the warehouse.
            asked: the keys that have a record.
            keys: all keys, in order; the records' places are theirs.
            held: the claims by aspect.
        """
        agency = _agencies(held)
        known = agency.unique().drop_null()
        names = agencies_now(connection, known.to_pylist())
        now = pa.array([names.get(name) for name in known.to_pylist()], TEXT).take(pc.index_in(agency, value_set=known))
        deadline = _deadline_rows(connection, held["progress"])
        links = _link_rows(connection, asked, keys)
        text = joined(
            "{'handling_agency': ",
            text_literals(agency),
            ", 'handling_agency_now': ",
            text_literals(now),
            ", 'deadline': ",
            pc.fill_null(texts_of_rows(deadline, _deadline_texts(deadline)), "None"),
            ", 'linked_dossiers': ",
            _link_texts(links),
            "}",
        )
        columns = {"handling_agency": composed_texts(agency), "handling_agency_now": composed_texts(now)}
        return DerivedFields(text, columns, {"deadline": _in_letters(deadline), "linked_dossiers": _in_letters(links)})


def _agencies(held: Mapping[str, HeldClaims]) -> pa.Array:
    """Return the agency that handles each dossier; see ``handling_agency``."""
    found = []
    for aspect, name in _HANDLING:
        rows = held[aspect].rows
        if len(rows.records):
            values = rows.one_each(rows.columns[name])
            found.append(pc.if_else(pc.equal(values, ""), pa.scalar(None, TEXT), values))
    return pc.coalesce(*found, pa.nulls(held["progress"].rows.count, TEXT))


def _deadline_rows(connection: Connection, progress: HeldClaims) -> Rows:
    found = fetch_columns(connection, _deadlines(), {"keys": progress.under.unique()})
    places = pc.index_in(progress.under, value_set=found["key"])
    is_known = places.is_valid()
    columns = {name: found[name].take(places.filter(is_known)) for name in _DEADLINE}
    return Rows(columns, progress.rows.records.filter(is_known), progress.rows.count)


def _deadline_texts(rows: Rows) -> pa.Array:
    parts: list[pa.Array | str] = []
    for name, column in rows.columns.items():
        parts += [f"{', ' if parts else '{'}{name!r}: ", _literals(column)]
    return joined(*parts, "}")


def _literals(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return time_literals(column)
    if pa.types.is_boolean(column.type):
        return truth_literals(column)
    return text_literals(column) if pa.types.is_large_string(column.type) else number_literals(column)


def _link_rows(connection: Connection, asked: pa.Array, keys: pa.Array) -> Rows:
    found = fetch_columns(connection, linked_dossiers(), {"keys": asked})
    is_told = pc.not_equal(found["relation"], SIBLING)
    columns = {name: found[name].filter(is_told) for name in ("relation", "dossier_code")}
    return Rows(columns, pc.index_in(found["asked"].filter(is_told), value_set=keys).cast(pa.int64()), len(keys))


def _link_texts(rows: Rows) -> pa.Array:
    relation, code = (text_literals(rows.columns[name]) for name in ("relation", "dossier_code"))
    each = texts_of_rows(rows, joined("{'relation': ", relation, ", 'dossier_code': ", code, "}"))
    return pc.fill_null(joined("[", each, "]"), "None")


def _in_letters(rows: Rows) -> Rows:
    columns = {
        name: composed_texts(column) if pa.types.is_large_string(column.type) else column
        for name, column in rows.columns.items()
    }
    return Rows(columns, rows.records, rows.count)


def handling_agency(record: Mapping[str, Any]) -> str | None:
    """Return the agency that handles a dossier, as its sources named it, even if that agency has a successor now."""
    for aspect, field in _HANDLING:
        agency = (record.get(aspect) or {}).get(field)
        if agency:
            return str(agency)
    return None


def agencies_now(connection: Connection, agencies: Collection[str]) -> dict[str, str]:
    """Return for each agency the one that carries on its work today; for most it is the same agency."""
    if not agencies:
        return {}
    rows = connection.execute(_agencies_now(), {"agencies": sorted(agencies)})
    return {row.agency: row.agency_now for row in rows}


@cache
def _agencies_now() -> Select[tuple[str, str]]:
    named = select(func.unnest(bindparam("agencies", type_=ARRAY(Text)), type_=Text).label("agency")).subquery("named")
    return select(named.c.agency, agency_on(named.c.agency, today()).label("agency_now"))


@cache
def _deadlines() -> Select[Any]:
    return select(dossier_deadline).where(dossier_deadline.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid))))
