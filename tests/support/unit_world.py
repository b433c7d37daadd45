"""Units, residences and officers' choices for tests of the merge: each as a step that commits one event."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from hub.codec.encode import Encoder
from hub.model.decisions import Decision, ReviewId, ReviewKind, Verdict
from hub.model.keys import key_text
from hub.operate.units.load import unit_events
from hub.reference.units import unit_intervals
from hub.warehouse.batch import Accepted
from tests.support.merge_world import Said, World, key_of

RESIDENCE, UNIT, DECISION = "residence.changed", "admin_unit.changed", "review.decided"
_TIMES = Said(1, "nso", 1).fields()
Step = Callable[[World], None]


def key_of_unit(scheme: str, code: str) -> UUID:
    """A key of a unit; its text, which is short, filled up."""
    return UUID(bytes=key_text("", [scheme, code]).encode()[:16].ljust(16, b"."))


def noon(day: date) -> datetime:
    """A moment of a day, here as there."""
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def lives(code: str, person: int = 1, version: int = 1, partition: int = 0, **more: Any) -> Step:
    """A residence claim of a person; ``day`` is when it was said."""
    day = more.pop("day", None)
    row = {**_TIMES, "source_system": "population", "source_version": version, "unit_scheme": "GSO_2004"}
    row |= {"pin": f"000299{person:06d}", "kind": "PERMANENT", "action": "REGISTER", "commune_code": code, **more}
    row |= {"occurred_at": noon(day)} if day else {}
    return lambda world: _commit(world, RESIDENCE, [row], [key_of(person)], partition)


def unit(code: str, to: Iterable[str] = (), since: date = date(2004, 7, 8), **more: Any) -> Step:
    """A unit's claim; ``to`` are codes of successors in today's list, an asterisk marks a part."""
    row = {**_TIMES, "source_system": "nso", "source_version": 1, "unit_scheme": "GSO_2004", "scheme": "GSO_2004"}
    row |= {"unit_code": code, "level": "COMMUNE", "name": f"Xã {code}", "valid_from": since, **more}
    links = [{"scheme": "GSO_2025", "code": name.strip("*"), "share": "PART" if "*" in name else "FULL"} for name in to]
    row["successors"] = json.dumps(links) if links else None
    return lambda world: _commit(world, UNIT, [row], [key_of_unit(row["scheme"], code)], 1)


def today_unit(code: str, to: Iterable[str] = (), since: date = date(2025, 7, 1), **more: Any) -> Step:
    """A unit of today's list."""
    return unit(code, to, since, scheme="GSO_2025", unit_scheme="GSO_2025", **more)


def chooses(code: str | None, person: int = 1, verdict: Verdict = Verdict.TAKE, minute: int = 0, **more: Any) -> Step:
    """An officer's decision about a person's permanent residence."""
    of = ReviewId(
        ReviewKind.AMBIGUOUS_UNIT, "citizen.residence", key_of(person), "PERMANENT", "commune_code", "population"
    )
    at = datetime(2026, 1, 5, 3, minute, tzinfo=UTC)
    decision = Decision(of, verdict, "officer.1", "the address says so", at, chosen=code, **more)
    row = decision.event("hub.desk", "G00")
    row |= {"event_id": row["event_id"].bytes, "subject_key": row["subject_key"].bytes}
    key = UUID(hex=of.review_key)
    return lambda world: _commit(world, DECISION, [row], [key], 2)


def load_every_unit(world: World, secret: str) -> int:
    """Commit every unit that comes with the hub, as one batch; return how many."""
    encoder = Encoder(UNIT, secret)
    events = list(unit_events(datetime(2026, 1, 1, tzinfo=UTC)))
    rows = [
        event
        | {"event_id": event["event_id"].bytes, "unit_code": event["unit_code"]}
        | {name: json.dumps(event[name]) if event[name] else None for name in ("predecessors", "successors")}
        for event in events
    ]
    keys = [UUID(bytes=bytes(encoder.key(event))) for event in events]
    _commit(world, UNIT, rows, keys, 1)
    assert len(unit_intervals()) == len(events)
    return len(events)


def _commit(world: World, subject: str, rows: list[dict[str, Any]], keys: list[UUID], partition: int) -> None:
    frame = world.frame(subject, rows, keys, partition)
    world.commit_frames(partition, Accepted(subject, frame, [b""] * len(rows)))
