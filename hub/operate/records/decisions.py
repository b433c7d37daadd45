"""What officers decided about one thing, and its effects: the rules of ``hub.reconcile.shared.decisions``, pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.model.decisions import ReviewKind, Verdict

NEVER_TAKEN = -1
"""Lower than every version of a decision."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A valid decision. ``version`` orders decisions; the hashes are of the contents that the officer saw."""

    kind: str
    aspect: str
    part: str
    field: str
    source: str
    verdict: str
    officer: str
    reason: str
    decided_at: datetime
    version: int
    chosen: str | None = None
    seen_held_hash: int | None = None
    seen_other_hash: int | None = None


def decision_of(fields: Mapping[str, Any], decided_at: datetime, version: int) -> Decided:
    """Return the decision in the fields of a ``review.decided`` event."""
    return Decided(
        kind=fields["kind"],
        aspect=fields["aspect"],
        part=fields["part"],
        field=fields["field"],
        source=fields["source_code"],
        verdict=fields["decision"],
        officer=fields["officer"],
        reason=fields["reason"],
        decided_at=decided_at,
        version=version,
        chosen=fields["chosen"],
        seen_held_hash=fields["seen_held_hash"],
        seen_other_hash=fields["seen_other_hash"],
    )


def about(decisions: Collection[Decided], aspect: str, part: str) -> list[Decided]:
    """Return the decisions about conflicts of one aspect (``citizen.person``) and part."""
    return [one for one in decisions if one.kind == ReviewKind.CONFLICT and (one.aspect, one.part) == (aspect, part)]


def taken_at(decisions: Collection[Decided], source: str, content_hash: int | None) -> int:
    """Return the version of the last decision that took a source's present claim; ``NEVER_TAKEN`` if there is none."""
    versions = (
        one.version
        for one in decisions
        if one.verdict == Verdict.TAKE and one.source == source and _is(one.seen_other_hash, content_hash)
    )
    return max(versions, default=NEVER_TAKEN)


def is_kept(decisions: Collection[Decided], field: str, source: str, content_hash: int | None) -> bool:
    """Tell whether an officer kept the record's value of a field against what a source says now."""
    return any(
        one.verdict == Verdict.KEEP
        and (one.field, one.source) == (field, source)
        and _is(one.seen_other_hash, content_hash)
        for one in decisions
    )


def is_passed_over(decisions: Collection[Decided], held: tuple[str, int | None], content_hash: int | None) -> bool:
    """Tell whether an officer took the claim that holds the record after seeing what another claim says now.

    Args:
        decisions: those about the conflicts of the record.
        held: source and content hash of the claim that holds the record.
        content_hash: of the other claim.
    """
    return any(
        one.verdict == Verdict.TAKE
        and one.source == held[0]
        and _is(one.seen_other_hash, held[1])
        and _is(one.seen_held_hash, content_hash)
        for one in decisions
    )


def _is(seen: int | None, content_hash: int | None) -> bool:
    return seen is not None and seen == content_hash
