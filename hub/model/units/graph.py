"""Administrative units over time: a graph of predecessors and successors that resolves any code to any date.

A unit is (scheme, code) over one interval; intervals are half open. An edge leads from an interval that ended to those
that took over its territory: n to m, any number of hops. What a unit itself says of its successors counts. If it says
nothing, what others say of their predecessors counts; otherwise the next interval of the same code continues it.

A code alone names no unit: it needs the date on which it was said, because codes are reused for other territories.
Resolving gives EXACT, or AMBIGUOUS with every candidate, or UNKNOWN. A preferred successor is marked and never chosen.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from hub.model.envelope import UnitScheme
from hub.model.units.names import folded_unit_name

FIRST_DAY, LAST_DAY = date.min, date.max
"""Bounds of a span without a beginning or an end."""
OLD_LIST_ENDED = date(2025, 7, 1)
"""Decision 19/2025/QD-TTg: from this day on, no unit of the 2004 list exists, even if its own end was never stated."""


class Resolution(StrEnum):
    """How well a code determines the unit on another date; MANUAL is an officer's choice among the candidates."""

    EXACT = "EXACT"
    AMBIGUOUS = "AMBIGUOUS"
    UNKNOWN = "UNKNOWN"
    MANUAL = "MANUAL"


class UnitRef(NamedTuple):
    """A code and the list to which it belongs; it names a unit only together with a date."""

    scheme: UnitScheme
    code: str


@dataclass(frozen=True, slots=True)
class Edge:
    """What a unit says of a successor or a predecessor: whether the whole older unit went there; guesses are marked."""

    ref: UnitRef
    whole: bool = True
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit over one interval in which nothing about it changed; ``valid_to`` is the first day after it.

    ``successors`` and ``predecessors`` are as stated, before the graph interprets them.
    """

    ref: UnitRef
    valid_from: date
    valid_to: date | None = None
    level: str = "UNKNOWN"
    full_name: str = ""
    parent_code: str | None = None
    successors: tuple[Edge, ...] = ()
    predecessors: tuple[Edge, ...] = ()
    agency_code: str | None = None
    legal_basis: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit that a code may mean on a date.

    Fields:
        unit: the interval; None if only the code is known.
        whole: every hop took over the older unit as a whole.
        is_default: every split on the way has this as the source's preferred target: a guess.
    """

    ref: UnitRef
    unit: Unit | None
    whole: bool
    is_default: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a code: ``said`` is the unit that it named when it was said; one candidate if EXACT."""

    resolution: Resolution
    said: Unit | None
    candidates: tuple[Candidate, ...]

    @property
    def ref(self) -> UnitRef | None:
        """The unit's code if it is certain."""
        return self.candidates[0].ref if self.resolution is Resolution.EXACT else None


class UnitGraph:
    """Every interval of every unit, for look-ups between any two dates. Immutable once built."""

    def __init__(self, units: Iterable[Unit]) -> None:
        by_ref: dict[UnitRef, list[Unit]] = defaultdict(list)
        for unit in units:
            by_ref[unit.ref].append(unit)
        self._by_ref = {ref: sorted(found, key=lambda unit: unit.valid_from) for ref, found in by_ref.items()}
        self._claimed = self._claimed_successors()
        self._ends = {id(unit): self._end_of(unit) for unit in self}
        self._after = {id(unit): tuple(self._after_of(unit)) for unit in self}

    def __iter__(self) -> Iterator[Unit]:
        return itertools.chain.from_iterable(self._by_ref.values())

    def refs(self) -> Iterable[UnitRef]:
        """Return every code of every list."""
        return self._by_ref.keys()

    def intervals(self, ref: UnitRef) -> list[Unit]:
        """Return a code's intervals, oldest first; empty if no unit ever had it."""
        return list(self._by_ref.get(ref, ()))

    def end_of(self, unit: Unit) -> date | None:
        """Return the first day on which the unit no longer exists, stated or implied; None if it has no end."""
        return self._ends[id(unit)]

    def unit_on(self, ref: UnitRef, day: date) -> Unit | None:
        """Return the unit that a code names when it is said on a day.

        A code said outside its units' intervals still means one of them: the last that had begun, else the first.
        """
        found = self._by_ref.get(ref)
        if not found:
            return None
        begun = [unit for unit in found if unit.valid_from <= day]
        return begun[-1] if begun else found[0]

    def named(self, name: str, day: date, level: str | None = None) -> list[Unit]:
        """Return the units with a name that exist on a day, by code; the name may include the type or not.

        Names are compared folded. Several units may share a name: a name alone never determines an address.
        """
        found = self._by_name.get(folded_unit_name(name), ())
        return [unit for unit in found if self._stands(unit, day) and level in (None, unit.level)]

    def resolve(self, ref: UnitRef, said_on: date, on: date) -> Resolved:
        """Return what a unit, named by a code on one day, is on another day, later or earlier."""
        said = self.unit_on(ref, said_on)
        if said is None:
            return Resolved(Resolution.UNKNOWN, None, ())
        if on < said.valid_from:
            candidates = self._walk(said, lambda unit: on >= unit.valid_from, self._befores)
            return Resolved(_count(candidates), said, candidates)
        candidates = self._walk(said, lambda unit: self._is_there(unit, on), self._afters)
        partial = len(candidates) == 1 and not candidates[0].whole and len(self._after[id(said)]) == 1
        return Resolved(Resolution.AMBIGUOUS if partial else _count(candidates), said, candidates)

    def successors(self, unit: Unit) -> tuple[Candidate, ...]:
        """Return the units that took over a unit's territory when it ended."""
        return self._after[id(unit)]

    def predecessors(self, unit: Unit) -> tuple[Candidate, ...]:
        """Return the units whose territory a unit took over when it began."""
        return self._befores(unit)

    def changes_after(self, unit: Unit) -> list[date]:
        """Return the days on which the resolution of a unit may change, earliest first."""
        days, waiting, seen = set(), [unit], {id(unit)}
        while waiting:
            one = waiting.pop()
            end = self.end_of(one)
            if end is None:
                continue
            days.add(end)
            for candidate in self._after[id(one)]:
                if candidate.unit is not None and id(candidate.unit) not in seen:
                    seen.add(id(candidate.unit))
                    waiting.append(candidate.unit)
        return sorted(days)

    def _walk(
        self, start: Unit, has_arrived: Callable[[Unit], bool], step: Callable[[Unit], tuple[Candidate, ...]]
    ) -> tuple[Candidate, ...]:
        """Follow edges from a unit until each branch has arrived; a branch that ends before gives nothing."""
        found: dict[UnitRef, Candidate] = {}
        waiting, seen = [Candidate(start.ref, start, True, True)], set()
        while waiting:
            here = waiting.pop()
            if here.unit is None or has_arrived(here.unit):
                known = found.get(here.ref)
                found[here.ref] = here if known is None else _joined(known, here)
                continue
            if (id(here.unit), here.whole, here.is_default) in seen:
                continue
            seen.add((id(here.unit), here.whole, here.is_default))
            for there in step(here.unit):
                whole, is_default = here.whole and there.whole, here.is_default and there.is_default
                waiting.append(Candidate(there.ref, there.unit, whole, is_default))
        return tuple(found[ref] for ref in sorted(found))

    def _stands(self, unit: Unit, day: date) -> bool:
        return unit.valid_from <= day and self._is_there(unit, day)

    def _is_there(self, unit: Unit, day: date) -> bool:
        end = self.end_of(unit)
        return end is None or day < end

    def _afters(self, unit: Unit) -> tuple[Candidate, ...]:
        return self._after[id(unit)]

    def _befores(self, unit: Unit) -> tuple[Candidate, ...]:
        return self._before.get(id(unit), ())

    def _end_of(self, unit: Unit) -> date | None:
        siblings = self._by_ref[unit.ref]
        following = next((other.valid_from for other in siblings if other.valid_from > unit.valid_from), None)
        said = [day for day in (unit.valid_to, following) if day is not None]
        if said:
            return min(said)
        if unit.ref.scheme is UnitScheme.GSO_2004:
            return max(OLD_LIST_ENDED, unit.valid_from)
        begun = [
            other.valid_from
            for edge in unit.successors
            for other in self._by_ref.get(edge.ref, ())
            if other.valid_from > unit.valid_from
        ]
        return min(begun) if begun else (unit.valid_from if unit.successors else None)

    def _after_of(self, unit: Unit) -> Iterator[Candidate]:
        end = self.end_of(unit)
        if end is None:
            return
        edges = unit.successors or self._claimed.get((unit.ref, end), ())
        if not edges:
            edges = tuple(Edge(other.ref) for other in self._by_ref[unit.ref] if other.valid_from == end)
        for edge in edges:
            yield Candidate(edge.ref, self._standing_from(edge.ref, end), edge.whole, edge.is_default)

    def _standing_from(self, ref: UnitRef, day: date) -> Unit | None:
        """Return the unit of a code that exists on a day, else the first that begins later."""
        found = self._by_ref.get(ref, [])
        standing = next((other for other in found if self._stands(other, day)), None)
        return standing or next((other for other in found if other.valid_from > day), None)

    def _claimed_successors(self) -> dict[tuple[UnitRef, date], tuple[Edge, ...]]:
        """Return what units say of their predecessors, reversed: by the predecessor and the day on which it ended."""
        claimed: dict[tuple[UnitRef, date], list[Edge]] = defaultdict(list)
        for unit in self:
            for edge in unit.predecessors:
                claimed[edge.ref, unit.valid_from].append(Edge(unit.ref, edge.whole, edge.is_default))
        return {place: tuple(edges) for place, edges in claimed.items()}

    @cached_property
    def _before(self) -> dict[int, tuple[Candidate, ...]]:
        before: dict[int, list[Candidate]] = defaultdict(list)
        for unit in self:
            for after in self._after[id(unit)]:
                if after.unit is not None:
                    before[id(after.unit)].append(Candidate(unit.ref, unit, after.whole, after.is_default))
        return {unit: tuple(sorted(found, key=lambda one: one.ref)) for unit, found in before.items()}

    @cached_property
    def _by_name(self) -> dict[str, list[Unit]]:
        named: dict[str, list[Unit]] = defaultdict(list)
        for ref in sorted(self._by_ref):
            for unit in self._by_ref[ref]:
                for name in {folded_unit_name(unit.full_name, without) for without in (False, True)}:
                    named[name].append(unit)
        return named


def _count(candidates: tuple[Candidate, ...]) -> Resolution:
    if not candidates:
        return Resolution.UNKNOWN
    return Resolution.EXACT if len(candidates) == 1 else Resolution.AMBIGUOUS


def _joined(one: Candidate, other: Candidate) -> Candidate:
    """Join a unit that was reached on two paths: a split that was merged again."""
    return Candidate(one.ref, one.unit, one.whole and other.whole, one.is_default or other.is_default)
