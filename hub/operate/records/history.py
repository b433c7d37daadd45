"""What was true on a day, and what the hub knew at a time: past states of one key, computed from its events. Pure.

There are two kinds of time. *Valid time* is when something happened (``occurred_at``, at the source): "as of" a day,
only what had happened by then counts, however late the hub heard of it. *Record time* is when the hub learned of it
(``recorded_at`` of the batch that accepted it): "known at" a time, only what the hub had accepted by then counts.

The computation repeats the merge for one key: per source the newest (epoch, version) wins, across sources the rule of
``hub.operate.records.claims``. Without limits it gives what the warehouse holds. With ``known_at`` it gives what the
warehouse held, but with the authority that sources have now. Events that the hub accepted at the same time became
visible at
once: ``recorded_at`` is when the batch's transaction began, a moment before others could see it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.log.places import Place
from hub.model.declaration import Aspect, Entity
from hub.model.entities import REVIEW
from hub.model.envelope import NO_DATA
from hub.model.outcomes import Outcome
from hub.operate.records.claims import Claim, Identity, Side, Speaker, decided, disagreements, side_of
from hub.operate.records.decisions import Decided, about, decision_of

ACCEPTED = frozenset({Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.STALE})
"""Outcomes of events that say something; a stale one came too late for the present, but not for the past."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a key, as the audit log describes it; ``values`` as in the log, None if they were not read.

    Fields:
        batch: number of the transaction that decided the outcome; with the offset, the order of decisions.
        epoch, version: as the audit log orders them; for a source ordered by time they are not the event's own.
        recorded_at: when the hub accepted it; a parked event: when it was released.
        parked_at: when it was parked, if it was.
        flags: quality flags of the event (hub.model.flags).
        doubtful: which of its values broke their rule, and what became of them (hub.model.values.doubtful).
        values: every field of the event, envelope and data; never in a repr.
        changed: data fields that differ from the source's previous version.
    """

    place: Place
    key: UUID
    aspect: str
    outcome: Outcome
    reason: str | None
    source: str | None
    epoch: int | None
    version: int | None
    occurred_at: datetime | None
    event_id: UUID | None
    content_hash: int | None
    batch: int
    recorded_at: datetime
    policy_digest: str
    parked_at: datetime | None = None
    flags: int | None = None
    doubtful: str | None = None
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    changed: tuple[str, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether the event says something of its key."""
        return self.outcome in ACCEPTED


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a state: what had happened by ``as_of``, what the hub knew by ``known_at``; None: no limit."""

    as_of: datetime | None = None
    known_at: datetime | None = None

    @property
    def are_set(self) -> bool:
        """Whether the state is a past one."""
        return self.as_of is not None or self.known_at is not None

    def admit(self, event: Event) -> bool:
        """Tell whether an event counts within the limits."""
        if not event.is_accepted or event.occurred_at is None:
            return False
        if self.as_of is not None and event.occurred_at > self.as_of:
            return False
        return self.known_at is None or event.recorded_at <= self.known_at


NO_LIMITS = Limits()


def newest_of_each_source(
    events: Iterable[Event], aspect: Aspect, limits: Limits
) -> dict[tuple[str, ...], dict[str, Event]]:
    """Return, by part and source, the newest event that counts; if a version was used twice, the one decided first."""
    newest: dict[tuple[str, ...], dict[str, Event]] = {}
    for event in sorted(events, key=lambda event: (event.batch, event.place.offset)):
        if event.values is None or event.source is None or not limits.admit(event):
            continue
        part = tuple(str(event.values.get(name)) for name in aspect.part)
        of_part = newest.setdefault(part, {})
        before = of_part.get(event.source)
        if before is None or _order(event) > _order(before):
            of_part[event.source] = event
    return newest


def _order(event: Event) -> tuple[int, int]:
    return (event.epoch or 0, event.version or 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides between claims: the aspect's sources by code, and officers' decisions about the key."""

    speakers: Mapping[str, Speaker]
    decisions: tuple[Decided, ...] = ()


def fold(entity: Entity, identity: Identity, events: Iterable[Event], standing: Standing, limits: Limits) -> list[Side]:
    """Return the state of one aspect of one key: its claims, their holder, their conflicts, part by part.

    Args:
        entity: the key's entity.
        identity: key and aspect; its part is ignored.
        events: in any order; those of other keys and aspects, and those without values, do not count.
        standing: what decides between claims.
        limits: which events count.
    """
    mine = [event for event in events if event.key == identity.key and event.aspect == identity.aspect.name]
    sides = []
    for part, by_source in sorted(newest_of_each_source(mine, identity.aspect, limits).items()):
        claims = [_claim(event, standing.speakers) for event in by_source.values()]
        decisions = about(standing.decisions, f"{entity.name}.{identity.aspect.name}", "|".join(part))
        won = decided(claims, decisions)
        holder = next((claim for claim in claims if claim.source == won.holder), None)
        conflicts = disagreements(entity, identity.aspect, claims, holder, decisions)
        sides.append(side_of(replace(identity, part=part), claims, won, conflicts))
    return sides


def decisions_in(
    entity: Entity, events: Collection[Event], speakers: Mapping[str, Speaker], limits: Limits
) -> tuple[Decided, ...]:
    """Return the decisions that were valid, from the events of reviews' keys.

    Args:
        entity: of reviews.
        events: of all reviews about a thing.
        speakers: the officers' systems.
        limits: which events count.
    """
    (aspect,) = entity.aspects
    sides = [
        side
        for key in sorted({event.key for event in events})
        for side in fold(entity, Identity(key, aspect), events, Standing(speakers), limits)
    ]
    return tuple(
        decision_of(side.holder.fields, side.holder.occurred_at, side.holder.version)
        for side in sides
        if side.holder is not None
    )


def _claim(event: Event, speakers: Mapping[str, Speaker]) -> Claim:
    values, source = event.values or {}, event.source or ""
    epoch, version = _order(event)
    return Claim(
        speaker=speakers.get(source, Speaker(source, str(values.get("source_agency", "")), "", None)),
        epoch=epoch,
        version=version,
        occurred_at=event.occurred_at or event.recorded_at,
        recorded_at=values["recorded_at"],
        operation=values["operation"],
        unit_scheme=values["unit_scheme"],
        event_id=event.event_id,
        content_hash=event.content_hash,
        fields={name: value for name, value in values.items() if name not in NO_DATA},
        flags=event.flags,
        doubtful=event.doubtful,
    )


def aspect_of(entity: Entity, event: Event) -> Aspect:
    """Return the aspect of an event: one of the entity's, or of reviews'."""
    return next(aspect for aspect in (*entity.aspects, *REVIEW.aspects) if aspect.name == event.aspect)


def with_changes(events: Sequence[Event], entity: Entity) -> list[Event]:
    """Return the events, each with the data fields that differ from the same source's previous version."""
    by_version: dict[tuple[Any, ...], list[Event]] = {}
    for event in events:
        if event.is_accepted and event.values is not None:
            part = tuple(str(event.values.get(name)) for name in aspect_of(entity, event).part)
            by_version.setdefault((event.key, event.aspect, event.source, part), []).append(event)
    changed: dict[Place, tuple[str, ...]] = {}
    for versions in by_version.values():
        before: Mapping[str, Any] = {}
        for event in sorted(versions, key=_order):
            values = event.values or {}
            changed[event.place] = tuple(
                name for name, value in values.items() if name not in NO_DATA and value != before.get(name)
            )
            before = values
    return [replace(event, changed=changed.get(event.place, ())) for event in events]
