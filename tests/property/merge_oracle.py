"""What the warehouse must hold after some events and decisions, in plain Python: the oracle of the merge."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.decided import Decided
from tests.support.merge_world import ENDED, Said

COMPARED = ("full_name", "birth_year")
Claims = dict[tuple[int, str], Said]


def value(said: Said, field: str) -> Any:
    """Return what a claim says of a field: nothing where the event's value was dropped, whatever was said before."""
    return said.birth_year_kept if field == "birth_year" else getattr(said, field)


def content(said: Said) -> tuple[Any, ...]:
    return (said.key, said.operation, said.day, said.full_name, said.birth_year)


def place(said: Said, by_time: Sequence[str]) -> tuple[int, int]:
    return (said.epoch, said.day if said.source in by_time else said.version)


def claims_and_outcomes(events: Sequence[Said], by_time: Sequence[str]) -> tuple[Claims, list[str]]:
    claims, outcomes = Claims(), []
    for event in events:
        stored = claims.get((event.key, event.source))
        if stored is None or place(event, by_time) > place(stored, by_time):
            claims[event.key, event.source] = event
            outcomes.append("newer")
        elif place(event, by_time) < place(stored, by_time):
            outcomes.append("stale")
        else:
            outcomes.append("duplicate" if content(event) == content(stored) else "rejected:VERSION_REUSED")
    return claims, outcomes


def saw(one: Decided, claim: Said) -> bool:
    return one.seen is not None and one.source == claim.source and content(one.seen) == content(claim)


def oracle(claims: Claims, decisions: Sequence[Decided], ranks: Mapping[str, int]) -> tuple[Any, Any]:
    """Return who holds each record, and the open conflicts."""
    latest = {(one.key, one.field, one.source): one for one in sorted(decisions, key=lambda one: one.at)}
    takes = [one for one in latest.values() if one.verdict == "TAKE"]
    keeps = [one for one in latest.values() if one.verdict == "KEEP"]
    taken = {place_of: max((t.at for t in takes if saw(t, c)), default=0) for place_of, c in claims.items()}
    holders: dict[int, Said | None] = {}
    for key in {key for key, _ in claims}:
        standing = [claim for claim in claims.values() if claim.key == key and claim.operation != "REVOKE"]
        best = min(standing, key=lambda c: (-taken[key, c.source], ranks[c.source], -c.day, c.source), default=None)
        holders[key] = best
    conflicts = {
        (claim.key, field, claim.source, held.source)
        for claim in claims.values()
        if (held := holders[claim.key]) and claim is not held and claim.operation != "REVOKE"
        if held.day < ENDED.get(claim.source, held.day + 1)
        if not any(saw(t, held) and t.held and content(t.held) == content(claim) for t in takes)
        for field in COMPARED
        if None not in (value(claim, field), value(held, field)) and value(claim, field) != value(held, field)
        if not any(saw(k, claim) and k.field == field for k in keeps)
    }
    return {key: held and held.source for key, held in holders.items()}, conflicts
