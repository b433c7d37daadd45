"""Read the units' golden records as a graph, and update the tables derived from it."""

import json
from collections.abc import Iterable
from typing import Any

import polars as pl
from sqlalchemy import Connection, Select, and_, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import Text

from hub.model.entities import ADMIN_UNIT
from hub.model.envelope import UnitScheme
from hub.model.units.agencies import agency_spans
from hub.model.units.graph import Edge, Unit, UnitGraph, UnitRef
from hub.model.units.spans import UnitSpan, unit_spans
from hub.warehouse.copy import copy_rows
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.units import agency_now, unit_now

_SPAN = pl.Schema(
    {
        "scheme": pl.String(),
        "code": pl.String(),
        "said_from": pl.Date(),
        "said_until": pl.Date(),
        "effective_from": pl.Date(),
        "effective_until": pl.Date(),
        "resolution": pl.String(),
        "now_scheme": pl.String(),
        "now_code": pl.String(),
        "candidates": pl.String(),
    }
)
_Row = tuple[Any, ...]


def unit_tables() -> AspectTables:
    """Return the tables of the units' own aspect."""
    return aspect_tables(ADMIN_UNIT.aspects[0].subject)


def held_units() -> Select[Any]:
    """Select the claims that hold the records of units."""
    tables = unit_tables()
    claim, record = tables.claim, tables.record
    same = and_(*(record.c[name] == claim.c[name] for name in tables.identity), record.c.source == claim.c.source)
    return select(claim).join_from(claim, record, same).where(~claim.c.revoked)


def read_graph(connection: Connection) -> UnitGraph:
    """Return the graph of the units as the warehouse holds them."""
    return UnitGraph(_as_unit(row) for row in connection.execute(held_units()).mappings())


def refresh_unit_tables(connection: Connection) -> list[UnitRef]:
    """Write the differences between the derived tables and the units; return the codes whose meaning changed."""
    graph = read_graph(connection)
    _refresh_agencies(connection, graph)
    wanted = {_as_row(span) for span in unit_spans(graph)}
    columns = [unit_now.c[name] for name in _SPAN.names()[:-1]]
    stored = {tuple(row) for row in connection.execute(select(*columns, unit_now.c.candidates.cast(Text)))}
    stored = {(*row[:-1], _normal(row[-1])) for row in stored}
    changed = sorted({UnitRef(UnitScheme(row[0]), row[1]) for row in wanted ^ stored})
    if changed:
        connection.execute(_spans_of_codes(), parameters_of(changed))
        codes = set(changed)
        rows = sorted(row for row in wanted if UnitRef(UnitScheme(row[0]), row[1]) in codes)
        copy_rows(connection, unit_now, pl.DataFrame(rows, schema=_SPAN, orient="row"))
    return changed


def parameters_of(refs: Iterable[UnitRef]) -> dict[str, list[str]]:
    """Return the parameters of ``named_units``."""
    found = list(refs)
    return {"schemes": [ref.scheme.value for ref in found], "codes": [ref.code for ref in found]}


def named_units() -> TableValuedAlias:
    """Return the codes given as parameters, as a table with columns ``scheme`` and ``code``."""
    arrays = (bindparam(name, type_=ARRAY(Text)) for name in ("schemes", "codes"))
    return func.unnest(*arrays).table_valued("scheme", "code").render_derived("named")


def _spans_of_codes() -> Any:
    named = named_units()
    places = select(named.c.scheme, named.c.code)
    return delete(unit_now).where(tuple_(unit_now.c.scheme, unit_now.c.code).in_(places))


def _refresh_agencies(connection: Connection, graph: UnitGraph) -> None:
    wanted = [(span.prefix, span.effective_from, span.effective_until, span.now_prefix) for span in agency_spans(graph)]
    stored = {tuple(row) for row in connection.execute(select(agency_now))}
    if set(wanted) == stored:
        return
    connection.execute(delete(agency_now))
    if wanted:
        names = [column.name for column in agency_now.columns]
        connection.execute(agency_now.insert(), [dict(zip(names, row, strict=True)) for row in wanted])


def _as_row(span: UnitSpan) -> _Row:
    now = (span.now.scheme.value, span.now.code) if span.now else (None, None)
    candidates = [
        {"scheme": one.ref.scheme.value, "code": one.ref.code, "is_default": one.is_default} for one in span.candidates
    ]
    said = (span.said.scheme.value, span.said.code, span.said_from, span.said_until)
    effect = (span.effective_from, span.effective_until, span.resolution.value)
    return (*said, *effect, *now, json.dumps(candidates, sort_keys=True) if candidates else None)


def _normal(candidates: str | None) -> str | None:
    """Return the text that ``_as_row`` writes; PostgreSQL returns JSON with another order and other spaces."""
    return None if candidates is None else json.dumps(json.loads(candidates), sort_keys=True)


def _as_unit(row: Any) -> Unit:
    scheme = UnitScheme(row["scheme"])
    return Unit(
        ref=UnitRef(scheme, row["unit_code"]),
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        level=row["level"],
        full_name=row["full_name"] or row["name"],
        parent_code=row["parent_code"],
        successors=_edges(row["successors"], scheme),
        predecessors=_edges(row["predecessors"], scheme),
        agency_code=row["agency_code"],
        legal_basis=row["legal_basis_number"],
    )


def _edges(said: Any, scheme: UnitScheme) -> tuple[Edge, ...]:
    return tuple(
        Edge(
            UnitRef(UnitScheme(link.get("scheme") or scheme), link["code"]),
            whole=link.get("share") != "PART",
            is_default=bool(link.get("is_default")),
        )
        for link in said or ()
    )
