"""Decisions of officers about conflicts and reviews. They are events (``review.decided``), so a replay keeps them.

A decision is the claim of an officer's system about one review. It names its subject and the contents that the officer
saw, and it counts as long as those contents are unchanged. A later decision about the same review replaces an earlier
one.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from hub.model.envelope import Operation, UnitScheme

SUBJECT = "review.decided"
_EVENT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, f"hub:{SUBJECT}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReviewKind(StrEnum):
    """The questions that an officer may be asked."""

    CONFLICT = "CONFLICT"
    AMBIGUOUS_UNIT = "AMBIGUOUS_UNIT"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    POSSIBLE_DUPLICATE_PERSON = "POSSIBLE_DUPLICATE_PERSON"
    BACKWARD_STATUS = "BACKWARD_STATUS"
    REFERENCE_MISSING = "REFERENCE_MISSING"
    VERSION_REUSED = "VERSION_REUSED"
    TIME_IN_FUTURE = "TIME_IN_FUTURE"


class Verdict(StrEnum):
    """What an officer may decide: keep what the record holds, take the other, or wait."""

    KEEP = "KEEP"
    TAKE = "TAKE"
    WAIT = "WAIT"


TAKEN: Mapping[ReviewKind, str] = {
    ReviewKind.CONFLICT: "the other source's claim holds the record while it says the same",
    ReviewKind.AMBIGUOUS_UNIT: "the chosen unit is the unit of today",
    ReviewKind.POSSIBLE_DUPLICATE_PERSON: "both numbers are one person",
    ReviewKind.REFERENCE_MISSING: "what waits counts without what it refers to",
    ReviewKind.TIME_IN_FUTURE: "the event counts with its time; what is older stays stale until then",
}
"""The effect of TAKE, by kind; the other kinds have nothing to take."""

NOTHING_TO_KEEP = frozenset({ReviewKind.TIME_IN_FUTURE})
"""Kinds about a record that waits for an officer alone: KEEP would leave it waiting for ever, so it decides nothing."""


@dataclass(frozen=True, slots=True)
class ReviewId:
    """The identity of a conflict or review, the same in every warehouse, whatever numbers its rows have."""

    kind: ReviewKind
    aspect: str
    key: UUID
    part: str
    field: str
    source: str

    @property
    def review_key(self) -> str:
        """The key of its decisions: 32 hexadecimal digits."""
        text = "|".join((self.kind.value, self.aspect, str(self.key), self.part, self.field, self.source))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Decision:
    """An officer's decision.

    Fields:
        chosen: code of the chosen candidate, if there are several.
        other_key: key of the other thing, in a question about two.
        seen_held_hash, seen_other_hash: content hashes of the claim that holds the record and of the claim that the
            review is about, as the officer saw them.
        officer: the officer's code.
        reason: in the officer's words, without personal data.
        decided_at: orders the decisions about one review.
    """

    of: ReviewId
    verdict: Verdict
    officer: str
    reason: str
    decided_at: datetime
    chosen: str | None = None
    other_key: UUID | None = None
    seen_held_hash: int | None = None
    seen_other_hash: int | None = None

    @property
    def version(self) -> int:
        """Microseconds since 1970: the event's version."""
        return (self.decided_at - _EPOCH) // timedelta(microseconds=1)

    def event(self, source: str, agency: str) -> dict[str, Any]:
        """Return the event's fields, for the encoder; the same decision always gives the same event."""
        return {
            "event_id": uuid.uuid5(_EVENT_IDS, f"{self.of.review_key}|{self.version}"),
            "occurred_at": self.decided_at,
            "recorded_at": self.decided_at,
            "source_system": source,
            "source_agency": agency,
            "source_epoch": 1,
            "source_version": self.version,
            "operation": Operation.UPDATE.value,
            "unit_scheme": UnitScheme.GSO_2025.value,
            "actor": self.officer,
            "review_key": self.of.review_key,
            "kind": self.of.kind.value,
            "aspect": self.of.aspect,
            "subject_key": self.of.key,
            "part": self.of.part,
            "field": self.of.field,
            "source_code": self.of.source,
            "decision": self.verdict.value,
            "chosen": self.chosen,
            "other_key": self.other_key,
            "seen_held_hash": self.seen_held_hash,
            "seen_other_hash": self.seen_other_hash,
            "officer": self.officer,
            "reason": self.reason,
        }
