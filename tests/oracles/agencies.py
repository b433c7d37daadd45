"""Which agency carries on the work of another on a day; see ``hub.model.units.agencies``."""

from collections.abc import Mapping
from datetime import date

from hub.model.units.agencies import AgencySpan, agency_spans, prefix_of
from hub.model.units.graph import UnitGraph


def agency_on(spans: Mapping[str, list[AgencySpan]], agency: str, on: date) -> str:
    """Return the agency that carries on the work of an agency on a day; an unknown agency carries on its own."""
    prefix = prefix_of(agency)
    span = next((one for one in spans.get(prefix or "", ()) if one.effective_from <= on < one.effective_until), None)
    return agency if span is None or span.now_prefix == prefix else span.now_prefix


def spans_by_prefix(graph: UnitGraph) -> dict[str, list[AgencySpan]]:
    """Return the spans by prefix, in the form for ``agency_on``."""
    found: dict[str, list[AgencySpan]] = {}
    for span in agency_spans(graph):
        found.setdefault(span.prefix, []).append(span)
    return found
