"""Decisions of officers, as short as a test of the merge can say them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl

from hub.model.decisions import SUBJECT, Decision, ReviewId, ReviewKind, Verdict
from tests.support.merge_world import SUBJECT as CITIZEN
from tests.support.merge_world import Said, World, key_of

DESK = "hub.desk"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision about what ``source`` says of a citizen's field; ``seen`` and ``held``: the events the officer saw."""

    key: int
    source: str
    verdict: str
    at: int = 1
    field: str = "full_name"
    seen: Said | None = None
    held: Said | None = None


def decision_of(world: World, one: Decided) -> Decision:
    """Return it with the content hashes of what was seen."""
    return Decision(
        ReviewId(ReviewKind.CONFLICT, "citizen.person", key_of(one.key), "", one.field, one.source),
        Verdict(one.verdict),
        officer="CB01",
        reason="seen in the register",
        decided_at=datetime(2025, 7, 1, tzinfo=UTC) + timedelta(minutes=one.at),
        seen_other_hash=hash_of(world, one.seen) if one.seen else None,
        seen_held_hash=hash_of(world, one.held) if one.held else None,
    )


def frame_of_decisions(world: World, decided: list[Decided], partition: int, skip: int = 0) -> pl.DataFrame:
    """Return decisions as rows for the merge."""
    return frame_of(world, [decision_of(world, one) for one in decided], partition, skip)


def frame_of(world: World, decisions: list[Decision], partition: int, skip: int = 0) -> pl.DataFrame:
    """Return decisions as rows for the merge."""
    rows: list[dict[str, Any]] = []
    for decision in decisions:
        event = decision.event(DESK, "G00")
        rows.append({name: value.bytes if isinstance(value, UUID) else value for name, value in event.items()})
    keys = [UUID(hex=decision.of.review_key) for decision in decisions]
    return world.frame(SUBJECT, rows, keys, partition, skip)


def hash_of(world: World, said: Said) -> int:
    """Return the content hash of an event."""
    if said not in _HASHES:
        _HASHES[said] = int(world.frame(CITIZEN, [said.fields()], [key_of(said.key)], 0)["content_hash"][0])
    return _HASHES[said]


_HASHES: dict[Said, int] = {}
