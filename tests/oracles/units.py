"""The units that come with the hub, as a graph: for look-ups where no warehouse is at hand."""

from functools import cache

from hub.model.units.graph import Edge, Unit, UnitGraph, UnitRef
from hub.reference.units import Link, UnitInterval, unit_intervals


@cache
def reference_graph() -> UnitGraph:
    """Return the graph of every interval that the reference tables hold."""
    return UnitGraph(as_unit(interval) for interval in unit_intervals())


def as_unit(interval: UnitInterval) -> Unit:
    """Return an interval as the graph takes it."""
    return Unit(
        ref=UnitRef(interval.scheme, interval.code),
        valid_from=interval.valid_from,
        valid_to=interval.valid_to,
        level=interval.level,
        full_name=interval.full_name,
        parent_code=interval.parent_code,
        successors=tuple(_edge(link) for link in interval.successors),
        predecessors=tuple(_edge(link) for link in interval.predecessors),
        agency_code=interval.agency_code,
        legal_basis=interval.legal_basis,
    )


def _edge(link: Link) -> Edge:
    return Edge(UnitRef(link.scheme, link.code), link.share == "FULL", link.is_default)
