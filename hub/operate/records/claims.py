"""What sources say of one side of an entity, which of them holds the record, and by which rule: pure, no database.

These are the rules of the merge's statements (hub.reconcile.records, hub.reconcile.conflicts), written for people. They
explain what the warehouse decided, and they decide what its past states were (hub.operate.records.history).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from hub.model.declaration import Aspect, Entity
from hub.model.envelope import Operation
from hub.model.texts.letters import same_letters
from hub.operate.records.decisions import NEVER_TAKEN, Decided, is_kept, is_passed_over, taken_at


class Rule(StrEnum):
    """The rule by which a claim holds the record."""

    ONLY_CLAIM = "only claim"
    AUTHORITY = "higher authority"
    LATER = "later at equal authority"
    SOURCE_ORDER = "order of the sources' codes"
    DECIDED = "decided by an officer"
    TOOK_BACK = "the holder withdrew its claim"
    NOBODY = "every claim was revoked"
    UNEXPLAINED = "no rule explains it: the record must be decided again"


@dataclass(frozen=True, slots=True)
class Speaker:
    """A source in one aspect. ``rank`` 0 is the highest authority; None: it has none here and never holds a record."""

    code: str
    agency: str
    role: str
    rank: int | None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What one source says, with its provenance.

    Fields:
        fields: the data fields by name; never in a repr.
        flags: quality flags of the event (hub.model.flags).
        doubtful: which of its values broke their rule, and what became of them (hub.model.values.doubtful).
        differs: fields whose value differs from the claim that holds the record; both values are known.
    """

    speaker: Speaker
    epoch: int
    version: int
    occurred_at: datetime
    recorded_at: datetime
    operation: str
    unit_scheme: str
    event_id: UUID | None
    content_hash: int | None
    fields: Mapping[str, Any] = field(repr=False)
    flags: int | None = None
    doubtful: str | None = None
    differs: frozenset[str] = frozenset()

    @property
    def source(self) -> str:
        """Return the source's code."""
        return self.speaker.code

    @property
    def is_standing(self) -> bool:
        """Whether the claim can hold a record: it is not withdrawn, and its source has authority."""
        return self.operation != Operation.REVOKE and self.speaker.rank is not None


@dataclass(frozen=True, slots=True)
class Won:
    """Who holds a record and why. ``over``: the source over which it was preferred, if there was one."""

    holder: str | None
    rule: Rule
    over: str | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A field in which ``source`` contradicts ``held_by``.

    If it was computed and is not stored, it has no times and no ``number`` (its name in ``hub review``).
    """

    field: str
    source: str
    held_by: str
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a record is about: a key, an aspect, and a part of it if the aspect has parts."""

    key: UUID
    aspect: Aspect
    part: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One aspect of one key, and one part of it (a person's permanent residence): its claims, the holder's first."""

    key: UUID
    aspect: Aspect
    part: tuple[str, ...]
    won: Won
    claims: tuple[Claim, ...]
    conflicts: tuple[Disagreement, ...] = ()

    @property
    def holder(self) -> Claim | None:
        """Return the claim that is the golden record."""
        return next((claim for claim in self.claims if claim.source == self.won.holder), None)


def decided(claims: Collection[Claim], decisions: Collection[Decided] = ()) -> Won:
    """Return who holds the record of some claims about the same thing.

    What an officer took last wins; then the rank, then the later ``occurred_at``, then the source's code. A withdrawn
    claim holds nothing.

    Args:
        claims: at most one of each source.
        decisions: those about the same key, aspect and part.
    """
    taken = {claim.source: taken_at(decisions, claim.source, claim.content_hash) for claim in claims}
    order = sorted(
        (claim for claim in claims if claim.is_standing), key=lambda claim: (-taken[claim.source], _precedence(claim))
    )
    if not order:
        return Won(None, Rule.NOBODY)
    best, second = order[0], order[1].source if len(order) > 1 else None
    if taken[best.source] > NEVER_TAKEN:
        return Won(best.source, Rule.DECIDED, second)
    revoked = (claim for claim in claims if claim.speaker.rank is not None and not claim.is_standing)
    ahead = min((claim for claim in revoked if _precedence(claim) < _precedence(best)), key=_precedence, default=None)
    if ahead is not None:
        return Won(best.source, Rule.TOOK_BACK, ahead.source)
    if second is None:
        return Won(best.source, Rule.ONLY_CLAIM)
    return Won(best.source, _rule_between(best, order[1]), second)


def _precedence(claim: Claim) -> tuple[int, timedelta, bytes]:
    rank = claim.speaker.rank
    return (_LAST_RANK if rank is None else rank, _BEGINNING - claim.occurred_at, claim.source.encode())


_LAST_RANK = 1 << 16
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _rule_between(best: Claim, other: Claim) -> Rule:
    if best.speaker.rank != other.speaker.rank:
        return Rule.AUTHORITY
    return Rule.LATER if best.occurred_at != other.occurred_at else Rule.SOURCE_ORDER


def disagreements(
    entity: Entity, aspect: Aspect, claims: Iterable[Claim], holder: Claim | None, decisions: Collection[Decided] = ()
) -> list[Disagreement]:
    """Return the fields in which claims contradict the record; both values are known.

    What a source said before its cut-over does not contradict what its successor says of later times. Unit codes of
    different schemes cannot be compared. What an officer has seen and decided is not a contradiction.
    """
    if holder is None:
        return []
    left_out = {*aspect.part, *aspect.not_compared, *entity.key}
    found = []
    for claim in claims:
        if claim is holder or not _can_contradict(claim, holder, decisions):
            continue
        no_units = {unit.code for unit in aspect.units} if claim.unit_scheme != holder.unit_scheme else set()
        found += [
            Disagreement(name, claim.source, holder.source)
            for name in sorted(_differing(aspect, claim.fields, holder.fields) - left_out - no_units)
            if not is_kept(decisions, name, claim.source, claim.content_hash)
        ]
    return found


def _can_contradict(claim: Claim, holder: Claim, decisions: Collection[Decided]) -> bool:
    ended = claim.speaker.valid_until
    if claim.operation == Operation.REVOKE or (ended is not None and holder.occurred_at >= ended):
        return False
    return not is_passed_over(decisions, (holder.source, holder.content_hash), claim.content_hash)


def side_of(identity: Identity, claims: Collection[Claim], won: Won, conflicts: Iterable[Disagreement]) -> Side:
    """Return the side as it is shown: the holder's claim first, the others by precedence, withdrawn ones last."""
    held = next((claim.fields for claim in claims if claim.source == won.holder), {})
    ordered = sorted(claims, key=lambda claim: (claim.source != won.holder, not claim.is_standing, _precedence(claim)))
    marked = [replace(claim, differs=_differing(identity.aspect, claim.fields, held)) for claim in ordered]
    return Side(identity.key, identity.aspect, identity.part, won, tuple(marked), tuple(conflicts))


def _differing(aspect: Aspect, fields: Mapping[str, Any], held: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        name
        for name, value in fields.items()
        if value is not None
        and (other := held.get(name)) is not None
        and not same_letters(value, other, name in aspect.names)
    )
