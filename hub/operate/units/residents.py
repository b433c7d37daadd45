"""How many residents a unit of today had on a date, counted over its predecessors: statistics "as of" a date.

For each person, kind of residence and source, the newest version that was valid on the date counts. Among
sources, and among several numbers of one person, the highest authority counts. The named unit is resolved to today. A
person who
lived in a unit that was split since may live in the unit asked for or in another one: such people are counted
separately, never among the residents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, Text, and_, case, func, literal, or_, select, tuple_, union
from sqlalchemy.dialects.postgresql import distinct_on

from hub.model.entities import CITIZEN
from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError
from hub.model.units.graph import Resolution, UnitRef
from hub.reconcile.rules.units.claimed_unit import chosen_code, is_said_unit
from hub.warehouse.tables.core import authority, same_key, source
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.units import day_of, is_effective, today, unit_now

_RESIDENCE = CITIZEN.aspect("residence")
_ENDED = "DELETE"
_DIGITS_OF_COMMUNE = 5


@dataclass(frozen=True, slots=True)
class ResidentsOfUnit:
    """Residents by the unit that their source named, which certainly or perhaps became the unit asked for."""

    said: UnitRef
    certain: int
    ambiguous: int


@dataclass(frozen=True, slots=True)
class Residents:
    """Residents of a unit of today on a date.

    Fields:
        by_unit: the units that the residents' sources named, by code.
    """

    unit: UnitRef
    on: date
    kind: str
    by_unit: tuple[ResidentsOfUnit, ...]

    @property
    def certain(self) -> int:
        """Return the number of certain residents."""
        return sum(row.certain for row in self.by_unit)

    @property
    def ambiguous(self) -> int:
        """Return how many people live in this unit or in another one; not counted as certain."""
        return sum(row.ambiguous for row in self.by_unit)

    def as_json(self) -> dict[str, Any]:
        """Return plain values: ``residents``, ``ambiguous`` and both ``by_unit``."""
        rows = [
            {
                "scheme": row.said.scheme.value,
                "code": row.said.code,
                "residents": row.certain,
                "ambiguous": row.ambiguous,
            }
            for row in self.by_unit
        ]
        return {
            "scheme": self.unit.scheme.value,
            "code": self.unit.code,
            "on": self.on.isoformat(),
            "kind": self.kind,
            "residents": self.certain,
            "ambiguous": self.ambiguous,
            "by_unit": rows,
        }


def residents(connection: Connection, code: str, on: date, kind: str) -> Residents:
    """Count the residents of a unit of today's list on a date.

    Reads every version of the residences that ever named the unit, or one of its predecessors or successors.

    Raises:
        ConfigError: the code is no commune's, or no unit has it today.
    """
    if len(code) != _DIGITS_OF_COMMUNE:
        raise ConfigError([f"{code} is no commune: residences name communes; ask for each commune by its five digits"])
    unit = UnitRef(UnitScheme.GSO_2025, code)
    known = select(func.count()).where(unit_now.c.now_scheme == unit.scheme.value, unit_now.c.now_code == code)
    if not connection.execute(known.where(is_effective(unit_now, today()))).scalar_one():
        raise ConfigError([f"no unit of {unit.scheme.value} has the code {code} today"])
    tables = aspect_tables(_RESIDENCE.subject)
    lived = _lived(tables, unit, on, kind)
    units = unit_now.alias("unit")
    chosen = chosen_code(tables, lived, units, _RESIDENCE.units[0], today())
    is_ambiguous = units.c.resolution == Resolution.AMBIGUOUS.value
    now = case((is_ambiguous, chosen), else_=units.c.now_code)
    is_one = now == code
    may_be = and_(is_ambiguous, chosen.is_(None), _is_candidate(units, unit))
    counted = (
        select(
            lived.c.unit_scheme,
            lived.c.commune_code,
            func.count().filter(is_one),
            func.count().filter(may_be),
        )
        .join_from(lived, units, is_said_unit(units, lived, _RESIDENCE.units[0], today()))
        .where(or_(is_one, may_be))
        .group_by(lived.c.unit_scheme, lived.c.commune_code)
        .order_by(lived.c.unit_scheme, lived.c.commune_code)
    )
    rows: Sequence[Any] = connection.execute(counted).all()
    found = (ResidentsOfUnit(UnitRef(UnitScheme(row[0]), row[1]), row[2], row[3]) for row in rows)
    return Residents(unit, on, kind, tuple(found))


def _is_candidate(units: Any, unit: UnitRef) -> ColumnElement[bool]:
    wanted = func.jsonb_build_array(func.jsonb_build_object("code", unit.code, "scheme", unit.scheme.value))
    return and_(units.c.candidates.is_not(None), units.c.candidates.contains(wanted))


def _codes_of(unit: UnitRef) -> Any:
    """Return every (scheme, code) that is the unit today, or may be."""
    units = unit_now.alias("codes")
    is_one = and_(units.c.now_scheme == unit.scheme.value, units.c.now_code == unit.code)
    return select(units.c.scheme, units.c.code).where(
        is_effective(units, today()), or_(is_one, _is_candidate(units, unit))
    )


def _versions(tables: AspectTables, unit: UnitRef, kind: str) -> Subquery:
    """Return every version of the residences of everybody who ever named one of the unit's codes."""
    history = tables.history
    assert history is not None  # noqa: S101 - the declaration asks for it
    codes, of_unit = _codes_of(unit), []
    for table in (tables.claim, history):
        of_unit.append(select(table.c.key).where(tuple_(table.c.unit_scheme, table.c.commune_code).in_(codes)))
    named = of_unit[0].union(of_unit[1])
    group = select(same_key.c.canonical).where(same_key.c.entity == CITIZEN.name, same_key.c.key.in_(named))
    others = select(same_key.c.key).where(same_key.c.entity == CITIZEN.name, same_key.c.canonical.in_(group))
    keys = union(*of_unit, others)
    names = [column.name for column in history.columns if column.name in tables.claim.columns]
    parts = [
        select(*(table.c[name] for name in names)).where(table.c.kind == kind, table.c.key.in_(keys))
        for table in (tables.claim, history)
    ]
    return parts[0].union_all(parts[1]).subquery("version")


def _lived(tables: AspectTables, unit: UnitRef, on: date, kind: str) -> Subquery:
    """Return the residence that counts for each person on a date, as its source named it; none if it has ended."""
    version = _versions(tables, unit, kind)
    began = func.coalesce(version.c.from_date, day_of(version.c.occurred_at))
    newest = (
        select(version)
        .ext(distinct_on(version.c.key, version.c.source))
        .where(began <= on)
        .order_by(version.c.key, version.c.source, version.c.source_epoch.desc(), version.c.source_version.desc())
        .subquery("newest")
    )
    name = literal(tables.name, Text)
    ranked = and_(authority.c.source == newest.c.source, authority.c.aspect == name)
    person = func.coalesce(same_key.c.canonical, newest.c.key)
    held = (
        select(newest)
        .ext(distinct_on(person))
        .outerjoin(same_key, and_(same_key.c.entity == CITIZEN.name, same_key.c.key == newest.c.key))
        .join(authority, ranked)
        .join(source, source.c.id == newest.c.source)
        .where(~newest.c.revoked)
        .order_by(person, authority.c.rank, newest.c.occurred_at.desc(), source.c.code.collate("C"), newest.c.key)
        .subquery("held")
    )
    stays = and_(or_(held.c.to_date.is_(None), held.c.to_date > on), held.c.action.is_distinct_from(_ENDED))
    return select(held).where(stays).subquery("lived")
