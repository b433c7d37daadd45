"""The meaning of every code over time, as a table of spans computed from the graph.

The table is a pure function of the units. It holds changes that are already in effect and known changes that are not
yet, so it does not depend on the day on which it is computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from hub.model.units.graph import FIRST_DAY, LAST_DAY, Candidate, Resolution, Resolved, Unit, UnitGraph, UnitRef


@dataclass(frozen=True, slots=True)
class UnitSpan:
    """A code said between two days, and its meaning between two other days; half open; ``LAST_DAY`` means no end.

    Fields:
        now: the unit, if EXACT.
        candidates: every unit that it may be, by code, if AMBIGUOUS.
    """

    said: UnitRef
    said_from: date
    said_until: date
    effective_from: date
    effective_until: date
    resolution: Resolution
    now: UnitRef | None
    candidates: tuple[Candidate, ...]


def unit_spans(graph: UnitGraph) -> Iterator[UnitSpan]:
    """Return the spans of every code; the spans of one code cover every pair of days exactly once."""
    for ref in graph.refs():
        units = graph.intervals(ref)
        starts = [FIRST_DAY, *(unit.valid_from for unit in units[1:]), LAST_DAY]
        for unit, (said_from, said_until) in zip(units, pairwise(starts), strict=True):
            for since, until, resolved in _effects(graph, unit):
                candidates = resolved.candidates if resolved.resolution is Resolution.AMBIGUOUS else ()
                yield UnitSpan(ref, said_from, said_until, since, until, resolved.resolution, resolved.ref, candidates)


def _effects(graph: UnitGraph, unit: Unit) -> Iterator[tuple[date, date, Resolved]]:
    """Yield what a unit resolves to, span after span; days on which this does not change are not bounds.

    Before it began, the unit resolves to itself: a code says nothing about its past, and spans only look ahead.
    """
    since, now = FIRST_DAY, graph.resolve(unit.ref, unit.valid_from, unit.valid_from)
    for day in graph.changes_after(unit):
        following = graph.resolve(unit.ref, unit.valid_from, day)
        if _meaning(following) != _meaning(now):
            if since < day:
                yield since, day, now
            since = day
        now = following
    yield since, LAST_DAY, now


def _meaning(resolved: Resolved) -> tuple[object, ...]:
    return (resolved.resolution, [(one.ref, one.is_default, one.whole) for one in resolved.candidates])
