"""Fields of a dossier's golden record that are not in its claims: today's agency, deadline, linked dossiers.

The agency is the one that carries on the handling agency's work on the day of composing. What changes from one second
to the next is left out: for an open dossier the deadline gives the due time, not how late it is.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.reconcile.rules.dossiers.links import SIBLING, linked_dossiers
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


def dossier_fields(
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
