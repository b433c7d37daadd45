"""Look units up in the warehouse: one code over time, and what it is on another date."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from hub.model.envelope import UnitScheme
from hub.model.errors import ConfigError
from hub.model.flags import NEW_CODES_FROM
from hub.model.units.graph import Candidate, Resolved, Unit, UnitGraph, UnitRef
from hub.model.units.names import same_unit_name
from hub.reconcile.rules.units.graph_store import read_graph
from hub.warehouse.tables.units import ZONE


@dataclass(frozen=True, slots=True)
class UnitHistory:
    """A code's units over time.

    Fields:
        units: its intervals, the oldest first, each with the first day on which the unit no longer exists.
        on: the unit that the code means on the day asked for; the predecessors and successors are of this unit.
    """

    units: tuple[tuple[Unit, date | None], ...]
    on: Unit
    predecessors: tuple[Candidate, ...]
    successors: tuple[Candidate, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values: ``units``, ``on`` (an index into units), ``predecessors``, ``successors``."""
        units = [unit_json(unit) | {"valid_to": _day(end)} for unit, end in self.units]
        return {
            "units": units,
            "on": [unit for unit, _ in self.units].index(self.on),
            "predecessors": [candidate_json(one) for one in self.predecessors],
            "successors": [candidate_json(one) for one in self.successors],
        }


@dataclass(frozen=True, slots=True)
class Question:
    """A code to resolve: used on one day, asked for on another; ``name`` is checked against the unit if given."""

    ref: UnitRef
    said_on: date
    on: date
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a code is on the day asked for. ``name_agrees``: the given name is the unit's; None: no name was given."""

    question: Question
    resolved: Resolved
    name_agrees: bool | None
    of_that_name: tuple[Unit, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain values: the question, ``resolution``, ``said``, ``candidates``."""
        said = self.resolved.said
        return {
            "scheme": self.question.ref.scheme.value,
            "code": self.question.ref.code,
            "said_on": _day(self.question.said_on),
            "on": _day(self.question.on),
            "resolution": self.resolved.resolution.value,
            "said": None if said is None else unit_json(said),
            "candidates": [candidate_json(one) for one in self.resolved.candidates],
            "name_agrees": self.name_agrees,
            "of_that_name": [unit_json(unit) for unit in self.of_that_name],
        }


def today() -> date:
    """Return today's date in Vietnam."""
    return datetime.now(ZONE).date()


def load_graph(connection: Connection) -> UnitGraph:
    """Return the units that the warehouse holds.

    Raises:
        ConfigError: it holds none.
    """
    graph = read_graph(connection)
    if not graph.refs():
        raise ConfigError(["the warehouse knows no units: publish them with `hub units load`, and run `hub worker`"])
    return graph


def history_of(graph: UnitGraph, ref: UnitRef, on: date) -> UnitHistory:
    """Return a code's units.

    Raises:
        ConfigError: no unit ever had the code.
    """
    unit = _named(graph, ref, on)
    units = tuple((one, graph.end_of(one)) for one in graph.intervals(ref))
    return UnitHistory(units, unit, graph.predecessors(unit), graph.successors(unit))


def resolve(graph: UnitGraph, question: Question) -> Answer:
    """Resolve a code; a code that no unit ever had is UNKNOWN, not an error.

    If the given name is not the unit's, the code is doubtful: units with that name are returned as well.
    """
    resolved = graph.resolve(question.ref, question.said_on, question.on)
    if question.name is None:
        return Answer(question, resolved, None)
    agrees = resolved.said is not None and same_unit_name(question.name, resolved.said.full_name)
    others = () if agrees else tuple(graph.named(question.name, question.said_on))
    return Answer(question, resolved, agrees, others)


def successors(graph: UnitGraph, ref: UnitRef, said_on: date, on: date) -> Answer:
    """Return what a code's unit became by a day.

    Raises:
        ConfigError: no unit ever had the code, or the day is before the unit began.
    """
    unit = _named(graph, ref, said_on)
    if on < unit.valid_from:
        raise ConfigError([f"{ref.code} began on {unit.valid_from}, after {on}: ask for its predecessors"])
    return resolve(graph, Question(ref, said_on, on))


def predecessors(graph: UnitGraph, ref: UnitRef, said_on: date, on: date | None = None) -> Answer:
    """Return what a code's unit was on a day before it began; without a day, on the last day before.

    Raises:
        ConfigError: no unit ever had the code, or the unit existed on that day.
    """
    unit = _named(graph, ref, said_on)
    on = on or unit.valid_from - timedelta(days=1)
    if on >= unit.valid_from:
        raise ConfigError([f"{ref.code} exists since {unit.valid_from}, before {on}: ask for its successors"])
    return resolve(graph, Question(ref, said_on, on))


def unit_json(unit: Unit) -> dict[str, Any]:
    """Return a unit's plain values."""
    return {
        "scheme": unit.ref.scheme.value,
        "code": unit.ref.code,
        "name": unit.full_name,
        "level": unit.level,
        "parent_code": unit.parent_code,
        "valid_from": _day(unit.valid_from),
        "valid_to": _day(unit.valid_to),
        "agency_code": unit.agency_code,
        "legal_basis": unit.legal_basis,
    }


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate's plain values; ``share`` is FULL if every change took over the older unit completely."""
    return {
        "scheme": candidate.ref.scheme.value,
        "code": candidate.ref.code,
        "name": candidate.unit.full_name if candidate.unit else None,
        "parent_code": candidate.unit.parent_code if candidate.unit else None,
        "share": "FULL" if candidate.whole else "PART",
        "is_default": candidate.is_default,
    }


def scheme_of(word: str | None, day: date) -> UnitScheme:
    """Return the list of codes that a word names; without a word, the list that was in force on the day of the code.

    Raises:
        ConfigError: there is none of that name.
    """
    if word is None:
        return UnitScheme.GSO_2025 if day >= NEW_CODES_FROM.astimezone(ZONE).date() else UnitScheme.GSO_2004
    try:
        return UnitScheme(word.upper())
    except ValueError as error:
        known = " or ".join(scheme.value for scheme in UnitScheme)
        raise ConfigError([f"{word} is not a list of unit codes: {known}"]) from error


def _named(graph: UnitGraph, ref: UnitRef, day: date) -> Unit:
    unit = graph.unit_on(ref, day)
    if unit is None:
        others = [one for one in UnitScheme if one is not ref.scheme and graph.intervals(UnitRef(one, ref.code))]
        hint = "".join(f"; {one.value} has it: --scheme {one.value}" for one in others)
        raise ConfigError([f"no unit ever had the code {ref.code} in the list {ref.scheme.value}{hint}"])
    return unit


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
