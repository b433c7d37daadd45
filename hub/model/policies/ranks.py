"""The rank of each source in each aspect, from the policy and the entities' declarations."""

from collections.abc import Iterator
from dataclasses import dataclass

from hub.model.declaration import Aspect
from hub.model.entities import ENTITIES
from hub.model.policies.policy import Policy, Source


@dataclass(frozen=True, slots=True)
class Rank:
    """A source's rank in an aspect (``citizen.person``); 0 is the highest."""

    aspect: str
    source: str
    rank: int


def ranks(policy: Policy) -> Iterator[Rank]:
    """Yield the rank of each source in each aspect of which it may speak and in which it has authority."""
    for name, aspect in _aspects():
        for of in policy.sources.values():
            rank = rank_of(name, aspect, of)
            if rank is not None and aspect.subject in of.subjects:
                yield Rank(name, of.code, rank)


def rank_of(name: str, aspect: Aspect, source: Source) -> int | None:
    """Return a source's rank in an aspect: from the policy, else from its role, else None."""
    by_role = aspect.authority.index(source.role) if source.role in aspect.authority else None
    return source.authority.get(name, by_role)


def policy_problems(policy: Policy) -> list[str]:
    """Return the sources that may speak of a subject in which they have no authority."""
    return [
        f"policy: source {of.code}: role {of.role.value} has no authority in {aspect.subject}"
        for of in policy.sources.values()
        for name, aspect in _aspects()
        if aspect.subject in of.subjects and rank_of(name, aspect, of) is None
    ]


def _aspects() -> Iterator[tuple[str, Aspect]]:
    for entity in ENTITIES:
        for aspect in entity.aspects:
            yield f"{entity.name}.{aspect.name}", aspect
