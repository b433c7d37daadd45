"""What became of a dead letter after it was written: its edits, and the place of its redrive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, func, select

from hub.log.places import Place
from hub.model.outcomes import Outcome
from hub.operate.dead_letters.letters import at
from hub.warehouse.tables.core import audit, log_partition, release
from hub.warehouse.tables.letters import letter_edit, redrive


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a redriven letter was written, and what became of it there; outcome None: not consumed yet."""

    place: Place
    outcome: Outcome | None
    reason: str | None


def landing_of(connection: Connection, origin: Place) -> Landing | None:
    """Return where a letter's redrive was written; None if it was not sent, or not marked yet."""
    became = func.coalesce(cast(release.c.outcome, Text), cast(audit.c.outcome, Text))
    row = connection.execute(
        select(redrive.c.new_offset, became, func.coalesce(release.c.reason, audit.c.reason))
        .join(
            log_partition,
            and_(log_partition.c.topic == redrive.c.topic, log_partition.c.partition == redrive.c.partition),
            isouter=True,
        )
        .outerjoin(audit, and_(audit.c.log == log_partition.c.id, audit.c.log_offset == redrive.c.new_offset))
        .outerjoin(release, and_(release.c.log == log_partition.c.id, release.c.log_offset == redrive.c.new_offset))
        .where(at(redrive, origin), redrive.c.new_offset.is_not(None))
    ).one_or_none()
    if row is None:
        return None
    new_offset, outcome, reason = row
    return Landing(Place(origin.topic, origin.partition, new_offset), outcome and Outcome(outcome), reason)


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a letter, without the bytes."""

    number: int
    edited_at: datetime
    edited_by: str
    purpose: str
    before_sha256: str
    after_sha256: str
    fields: tuple[str, ...]
    value_bytes: int
    approved_at: datetime | None
    approved_by: str | None


def edits_of(connection: Connection, place: Place) -> list[Edit]:
    """Return the edits of a letter, the first one first."""
    of = letter_edit.c
    rows: Any = connection.execute(
        select(
            of.id,
            of.edited_at,
            of.edited_by,
            of.purpose,
            func.encode(of.before_sha256, "hex"),
            func.encode(of.after_sha256, "hex"),
            of.fields,
            of.value_bytes,
            of.approved_at,
            of.approved_by,
        )
        .where(at(letter_edit, place))
        .order_by(of.id)
    )
    return [
        Edit(number, at_time, by, purpose, before, after, tuple(fields), size, approved_at, approved_by)
        for number, at_time, by, purpose, before, after, fields, size, approved_at, approved_by in rows
    ]
