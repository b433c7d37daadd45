"""Decide about parked records: release them without what they miss, or reject them with a second person's approval.

To release is an officer's decision (``review.decided``), so a replay releases the same records. A discarded record gets
its outcome through the same commit as a released one, so the ledger stays balanced (I5). Nothing of it is deleted:
its bytes stay in the log, and its row in ``discarded`` makes a replay reject it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, Select, insert, select, tuple_

from hub.embedded.locate import Endpoints
from hub.log.places import Place, place_text
from hub.model.decisions import SUBJECT, Decision, ReviewId, ReviewKind, Verdict
from hub.model.errors import ConfigError
from hub.model.outcomes import Outcome, Reason
from hub.operate.actions import Action, By, note
from hub.operate.approval import Second, check_second
from hub.operate.dead_letters.parked import Queue
from hub.operate.desk.reviews import NO_DESK, officers_desk
from hub.operate.log.publish import publish
from hub.reconcile.fence import Stamp, go_among_batches
from hub.reconcile.merge import commit_batch
from hub.reconcile.parking.dated_ahead import WAITS
from hub.warehouse.batch import AUDIT_SCHEMA, Batch
from hub.warehouse.database import translated_errors
from hub.warehouse.sources import digest_in_force
from hub.warehouse.tables.core import audit, log_partition, parked
from hub.warehouse.tables.letters import discarded

RELEASE = "parked.release"
DISCARD = "parked.discard"
_WORKER = "hub parked discard"


def release_queues(engine: Engine, where: Endpoints, queues: Sequence[Queue], by: By) -> int:
    """Publish the decisions that release queues, and record who did it; return the number of decisions.

    A worker merges the decisions and releases the records, in the order of the log. It is safe to do it again.

    Raises:
        ConfigError: the policy names no source of officers' decisions.
        UnreachableError: the broker does not answer.
    """
    with translated_errors("reading the policy"), engine.connect() as connection:
        desk = officers_desk(connection)
    if desk is None:
        raise ConfigError([NO_DESK])
    now = datetime.now(UTC)
    decisions = [
        Decision(ReviewId(kind, queue.aspect, queue.key, "", field, source), Verdict.TAKE, by.actor, by.purpose, now)
        for queue in queues
        for source in queue.sources
        for kind, field in _questions_of(queue)
    ]
    publish(where, SUBJECT, [decision.event(desk.code, desk.agency) for decision in decisions])
    with translated_errors("noting a decision"), engine.begin() as connection:
        for queue in queues:
            detail = {"first": place_text(queue.first), "records": queue.records, "waits_for": list(queue.waits_for)}
            note(connection, Action(by.actor, RELEASE, by.purpose, queue.aspect.split(".")[0], queue.key, detail))
    return len(decisions)


def _questions_of(queue: Queue) -> list[tuple[ReviewKind, str]]:
    """Return the questions of a queue: one about its missing references, one for each version that is dated ahead."""
    ahead = [waits.removeprefix(WAITS) for waits in queue.waits_for if waits.startswith(WAITS)]
    others = [(ReviewKind.REFERENCE_MISSING, "")] if len(ahead) < len(queue.waits_for) or not ahead else []
    return [*others, *((ReviewKind.TIME_IN_FUTURE, version) for version in ahead)]


@dataclass(frozen=True, slots=True)
class Discarding:
    """A parked record that is to be discarded, with its audit row."""

    place: Place
    subject: str
    waits_for: str | None
    row: dict[str, Any] = field(repr=False)


def plan_discard(engine: Engine, places: Sequence[Place]) -> list[Discarding]:
    """Return the parked records at some places.

    Raises:
        ConfigError: at one of them no record is parked.
    """
    with translated_errors("reading parked records"), engine.connect() as connection:
        return _parked_at(connection, places)


def discard_parked(engine: Engine, places: Sequence[Place], by: By, second: Second) -> int:
    """Reject parked records permanently, by two people; return how many.

    Raises:
        NotApprovedError: the second person may not approve, or is the first.
        ConfigError: at one place no record is parked.
        ConcurrentUpdateError: a worker released one of them at the same time.
    """
    check_second(engine, second, by.actor)
    with translated_errors("discarding parked records"), engine.begin() as connection:
        go_among_batches(connection)
        found = _parked_at(connection, places)
        digest = connection.execute(digest_in_force()).scalar_one()
        commit_batch(connection, _rejected(found, by, second), Stamp(_WORKER, digest))
        names = [place_text(one.place) for one in found]
        connection.execute(insert(discarded), [_discarded(one.place, by, second) for one in found])
        detail = {"count": len(found), "records": names, "approved_by": second.name}
        note(connection, Action(by.actor, DISCARD, by.purpose, detail=detail))
    return len(found)


def _parked_at(connection: Connection, places: Sequence[Place]) -> list[Discarding]:
    rows = connection.execute(_with_audit(places)).mappings()
    found = {Place(row["topic"], row["partition"], row["log_offset"]): row for row in rows}
    missing = [place for place in places if place not in found]
    if missing:
        raise ConfigError([f"{place_text(place)}: no record is parked there" for place in missing])
    return [
        Discarding(place, row["subject"], row["waits_for"], {name: row[name] for name in _AUDITED})
        for place, row in found.items()
    ]


_AUDITED = tuple(name for name in AUDIT_SCHEMA if name not in {"outcome", "reason", "detail"})


def _with_audit(places: Sequence[Place]) -> Select[Any]:
    here = (log_partition.c.topic, log_partition.c.partition, parked.c.log_offset)
    return (
        select(
            log_partition.c.topic,
            log_partition.c.partition,
            parked.c.subject,
            parked.c.waits_for,
            *(audit.c[name] for name in _AUDITED),
        )
        .join_from(parked, audit, tuple_(audit.c.log, audit.c.log_offset) == tuple_(parked.c.log, parked.c.log_offset))
        .join(log_partition, log_partition.c.id == parked.c.log)
        .where(tuple_(*here).in_([(place.topic, place.partition, place.offset) for place in places]))
        .order_by(parked.c.log, parked.c.log_offset)
    )


def _rejected(found: Sequence[Discarding], by: By, second: Second) -> Batch:
    said = {
        "outcome": Outcome.REJECTED.value,
        "reason": Reason.DISCARDED.value,
        "detail": f"by {by.actor}, approved by {second.name}",
    }
    rows = [one.row | said | {name: _bytes(one.row[name]) for name in ("key", "event_id")} for one in found]
    return Batch((), (), refused=pl.DataFrame(rows, schema=AUDIT_SCHEMA), released=True)


def _bytes(row: Any) -> bytes | None:
    return None if row is None else bytes(row.bytes)


def _discarded(place: Place, by: By, second: Second) -> dict[str, Any]:
    return {
        "topic": place.topic,
        "partition": place.partition,
        "log_offset": place.offset,
        "discarded_by": by.actor,
        "approved_by": second.name,
        "purpose": by.purpose,
    }
