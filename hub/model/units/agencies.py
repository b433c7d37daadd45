"""Agency codes over time: when a province is merged into another, its agency's work goes to that province's agency.

A province's agency code is ``Hnn``, with its parts after it (``H42.12.34``), or in the older form before it
(``000.17.22.H56``; Decision 20/2020/QD-TTg). The unit's own claim says to which province ``Hnn`` belongs; it is never
derived from the unit's code. The parts are kept only while the prefix stays, because nobody states what they become
elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from hub.model.units.graph import FIRST_DAY, LAST_DAY, Unit, UnitGraph

PREFIX_PATTERN = r"(?:^|\.)(H[0-9]{2})(?:\.|$)"
"""Finds the province's part of an agency code; Python and PostgreSQL use the same pattern."""
_PREFIX = re.compile(PREFIX_PATTERN)


@dataclass(frozen=True, slots=True)
class AgencySpan:
    """The prefix that carries on the work of a prefix between two days."""

    prefix: str
    effective_from: date
    effective_until: date
    now_prefix: str


def prefix_of(agency: str) -> str | None:
    """Return the province's prefix of an agency code; None for an agency that is not a province's."""
    found = _PREFIX.search(agency)
    return found[1] if found else None


def agency_spans(graph: UnitGraph) -> Iterator[AgencySpan]:
    """Return for each prefix which prefix carries on its work, and when; prefixes that never change are included."""
    carriers: dict[str, Unit] = {}
    for unit in graph:
        if unit.agency_code is not None:
            known = carriers.get(unit.agency_code)
            if known is None or _rank(graph, unit) > _rank(graph, known):
                carriers[unit.agency_code] = unit
    for prefix, unit in sorted(carriers.items()):
        yield from _spans_of(graph, prefix, unit)


def _rank(graph: UnitGraph, unit: Unit) -> tuple[date, date, str, str]:
    """Order the units with a prefix: the one that has it last decides."""
    return (graph.end_of(unit) or LAST_DAY, unit.valid_from, unit.ref.scheme.value, unit.ref.code)


def _spans_of(graph: UnitGraph, prefix: str, unit: Unit) -> Iterator[AgencySpan]:
    """Yield the prefix until its last unit ends, then the prefix of that unit's successor, if there is only one."""
    since, now = FIRST_DAY, prefix
    for day in graph.changes_after(unit):
        there = graph.resolve(unit.ref, unit.valid_from, day)
        target = there.candidates[0].unit if there.ref is not None else None
        following = target.agency_code if target is not None and target.agency_code else now
        if following != now:
            yield AgencySpan(prefix, since, day, now)
            since, now = day, following
    yield AgencySpan(prefix, since, LAST_DAY, now)
