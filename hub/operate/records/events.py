"""The events of one key from the audit log, and their values from the log itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Text, Uuid, bindparam, func, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY

from hub.codec.catalogue import load_catalogue
from hub.codec.dropped import without_dropped
from hub.log.places import Place
from hub.model.decisions import SUBJECT as DECIDED
from hub.model.declaration import Aspect, Entity
from hub.model.entities import REVIEW, SUBJECTS
from hub.model.outcomes import Outcome
from hub.model.values.doubtful import notes_in
from hub.operate.log.read_back import LogValues, event_values
from hub.operate.records.claims import Speaker
from hub.operate.records.decisions import Decided, decision_of
from hub.operate.records.history import Event
from hub.topology import CLOSED_MARK, event_topic, subject_of
from hub.warehouse.evidence.find import rows_naming, sought
from hub.warehouse.tables.core import audit, authority, batch, late_flag, log_partition, release, source
from hub.warehouse.tables.entities import aspect_tables


@cache
def audit_rows_of_keys() -> Select[Any]:
    """Select what the audit log says of the events of ``:names`` on ``:topics``; a released event has both its rows.

    The rows are found first (hub.warehouse.evidence.find): with one join, the planner would read whole log partitions.
    """
    of_topics = select(log_partition.c.id).where(
        type_coerce(func.split_part(log_partition.c.topic, CLOSED_MARK, 1), Text)
        == func.any(bindparam("topics", type_=ARRAY(Text)))
    )
    of_key = rows_naming(audit.c.key, logs=of_topics).cte("of_key").prefix_with("MATERIALIZED")
    released_in = batch.alias("released_in")
    same = (release.c.log == of_key.c.log) & (release.c.log_offset == of_key.c.log_offset)
    return (
        select(
            *(of_key.c[name] for name in _OF_AUDIT),
            log_partition.c.topic,
            log_partition.c.partition,
            source.c.code,
            batch.c.recorded_at,
            batch.c.policy_digest,
            release.c.outcome.label("released_outcome"),
            release.c.reason.label("released_reason"),
            release.c.flags.label("released_flags"),
            release.c.detail.label("released_detail"),
            late_flag.c.flags.label("late_flags"),
            released_in.c.id.label("released_batch"),
            released_in.c.recorded_at.label("released_at"),
            released_in.c.policy_digest.label("released_policy_digest"),
        )
        .join_from(of_key, log_partition, log_partition.c.id == of_key.c.log)
        .join(batch, batch.c.id == of_key.c.batch)
        .outerjoin(source, source.c.id == of_key.c.source)
        .outerjoin(release, same)
        .outerjoin(late_flag, (late_flag.c.log == of_key.c.log) & (late_flag.c.log_offset == of_key.c.log_offset))
        .outerjoin(released_in, released_in.c.id == release.c.batch)
        .order_by(of_key.c.batch, of_key.c.log, of_key.c.log_offset)
    )


_OF_AUDIT = (
    "key",
    "log_offset",
    "outcome",
    "reason",
    "detail",
    "source_epoch",
    "source_version",
    "occurred_at",
    "event_id",
    "content_hash",
    "batch",
    "flags",
)


def events_of(connection: Connection, entity: Entity, keys: Collection[UUID]) -> list[Event]:
    """Return every event of some keys of an entity, in the order in which the hub took them; without values."""
    return events_on(connection, [event_topic(aspect.subject) for aspect in entity.aspects], keys)


def events_on(connection: Connection, topics: Collection[str], keys: Collection[UUID]) -> list[Event]:
    """Return every event of some keys on some topics, as ``events_of`` does."""
    rows = connection.execute(audit_rows_of_keys(), {**sought(keys), "topics": list(topics)}).all()
    return [_event(row) for row in rows]


def _event(row: Any) -> Event:
    is_released = row.released_outcome is not None
    return Event(
        place=Place(row.topic, row.partition, row.log_offset),
        key=row.key,
        aspect=SUBJECTS[subject_of(row.topic)][1].name,
        outcome=Outcome(row.released_outcome if is_released else row.outcome),
        reason=row.released_reason if is_released else row.reason,
        source=row.code,
        epoch=row.source_epoch,
        version=row.source_version,
        occurred_at=row.occurred_at,
        event_id=row.event_id,
        content_hash=row.content_hash,
        batch=row.released_batch if is_released else row.batch,
        recorded_at=row.released_at if is_released else row.recorded_at,
        policy_digest=row.released_policy_digest if is_released else row.policy_digest,
        parked_at=row.recorded_at if is_released else None,
        flags=_both(row.released_flags if is_released else row.flags, row.late_flags),
        doubtful=_doubtful(*((row.released_reason, row.released_detail) if is_released else (row.reason, row.detail))),
    )


def _doubtful(reason: str | None, detail: str | None) -> str | None:
    """Return what is noted of an event's values; the detail of a reason tells something else."""
    return detail if reason is None else None


def _both(told: int | None, late: int | None) -> int | None:
    return (told or 0) | (late or 0) or None


def with_values(events: Sequence[Event], read: LogValues) -> list[Event]:
    """Return the events with the values that were read, without those that the hub dropped.

    An event that is gone or unreadable has no values.
    """
    decoded: Mapping[Place, Any] = {place: event_values(value) for place, value in read.values.items()}
    return [replace(event, values=_taken(event, decoded.get(event.place))) for event in events]


def _taken(event: Event, values: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if values is None or event.doubtful is None:
        return values
    version = load_catalogue().latest(subject_of(event.place.topic))
    return without_dropped(values, notes_in(event.doubtful), version)


def speakers_of(connection: Connection, entity: Entity, aspect: Aspect) -> dict[str, Speaker]:
    """Return the sources of one aspect, by code, with their present authority."""
    name = f"{entity.name}.{aspect.name}"
    rows = connection.execute(
        select(source.c.code, source.c.agency, source.c.role, source.c.valid_until, authority.c.rank).outerjoin_from(
            source, authority, (authority.c.source == source.c.id) & (authority.c.aspect == name)
        )
    )
    return {row.code: Speaker(row.code, row.agency, row.role, row.rank, row.valid_until) for row in rows}


@cache
def decision_claims() -> Select[Any]:
    """Select the valid decisions about ``:keys``, and those that are not valid, without a record."""
    tables = aspect_tables(DECIDED)
    claim, record = tables.claim, tables.record
    held = (record.c.key == claim.c.key) & (record.c.source == claim.c.source)
    return (
        select(claim, record.c.source.label("holder_source"))
        .outerjoin_from(claim, record, held)
        .where(claim.c.subject_key == func.any(bindparam("keys", type_=ARRAY(Uuid))))
        .order_by(claim.c.source_version)
    )


def _decision_rows(connection: Connection, entity: Entity, keys: Collection[UUID]) -> list[Any]:
    aspects = {f"{entity.name}.{aspect.name}" for aspect in entity.aspects}
    rows = connection.execute(decision_claims(), {"keys": list(keys)}).mappings()
    return [row for row in rows if row["aspect"] in aspects]


def decisions_about(connection: Connection, entity: Entity, keys: Collection[UUID]) -> list[Decided]:
    """Return the officers' valid decisions about some keys of an entity, the oldest first."""
    return [
        decision_of(row, row["occurred_at"], row["source_version"])
        for row in _decision_rows(connection, entity, keys)
        if row["holder_source"] is not None and not row["revoked"]
    ]


def events_of_decisions(connection: Connection, entity: Entity, keys: Collection[UUID]) -> list[Event]:
    """Return the events of all decisions ever made about some keys of an entity; without values."""
    reviews = {row["key"] for row in _decision_rows(connection, entity, keys)}
    return events_of(connection, REVIEW, reviews) if reviews else []
