"""Dossiers for tests of the merge: versions of their progress, and filings, as short as a test can say them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from hub.intake.checks.derived import identity_links
from hub.model.dossiers.status import BY_CODE, Status, Version
from hub.model.entities import DOSSIER
from hub.model.envelope import Operation
from hub.model.keys import as_uuid, entity_key
from hub.model.policies.policy import parse_policy
from hub.warehouse.batch import Accepted
from hub.warehouse.tables.dossiers import dossier_deadline
from tests.support.merge_world import SECRET, World, key_of, open_world

PROGRESS, FILING = "dossier.progressed", "dossier.submitted"
PROCEDURE, UNIT = "procedure.changed", "admin_unit.changed"
_ZONE = timedelta(hours=7)

POLICY = parse_policy(
    b"""
    [[source]]
    code = "portal"
    agency = "G01"
    role = "portal"
    subjects = ["dossier.submitted", "dossier.progressed", "procedure.changed"]
    [[source]]
    code = "province"
    agency = "H42"
    role = "province"
    subjects = ["dossier.submitted", "dossier.progressed"]
    [[source]]
    code = "province_old"
    agency = "H25"
    role = "province"
    subjects = ["dossier.submitted", "dossier.progressed"]
    [[source]]
    code = "nso"
    agency = "G05"
    role = "statistics_office"
    subjects = ["admin_unit.changed"]
    """
)


def at(text: str) -> datetime:
    """Return a local time, e.g. ``2026-03-02 08:30``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) - _ZONE


def local(time: datetime | None) -> str | None:
    """Return a time as it is written above."""
    return None if time is None else (time + _ZONE).strftime("%Y-%m-%d %H:%M")


def code_of(number: int) -> str:
    """Return the code of a dossier that a test counts."""
    return f"H42.1-260302-{number:04d}"


def dossier_key(number: int) -> UUID:
    """Return its key."""
    return as_uuid(entity_key(SECRET, DOSSIER.name, [code_of(number)]))


def number_of(key: UUID) -> int:
    """Return the number of the dossier that has a key."""
    return next(number for number in range(1, 100) if dossier_key(number) == key)


@dataclass(frozen=True, slots=True)
class Progress:
    """One version of a dossier's progress; ``code`` is the portal's, 0 is UNKNOWN."""

    key: int
    version: int
    code: int
    occurred_at: datetime
    source: str = "province"
    epoch: int = 1
    operation: str = "UPDATE"
    status_reason: str | None = None
    received_at: datetime | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    rejected_at: datetime | None = None
    procedure_code: str | None = None
    due_history: str | None = None
    processing_agency: str | None = None

    @property
    def status(self) -> Status:
        """The status that the code stands for."""
        return BY_CODE.get(self.code, Status.UNKNOWN)

    def as_version(self) -> Version:
        """Return it as the pure rules take it."""
        return Version(
            self.epoch,
            self.version,
            self.occurred_at,
            self.status,
            Operation(self.operation),
            self.status_reason,
            self.received_at,
            self.due_at,
            self.finished_at,
            self.rejected_at,
        )

    def fields(self) -> dict[str, Any]:
        """Return the event's fields."""
        names = ("received_at", "due_at", "finished_at", "rejected_at", "procedure_code", "due_history")
        said = {name: getattr(self, name) for name in (*names, "status_reason", "operation", "processing_agency")}
        return said | {
            **_envelope(self.source, self.epoch, self.version, self.occurred_at),
            "dossier_code": code_of(self.key),
            "status": self.status.value,
            "operation": self.operation,
        }


def _envelope(source: str, epoch: int, version: int, occurred_at: datetime) -> dict[str, Any]:
    return {
        "event_id": bytes(16),
        "occurred_at": occurred_at,
        "recorded_at": occurred_at,
        "source_system": source,
        "source_agency": "H42",
        "source_epoch": epoch,
        "source_version": version,
        "operation": "UPDATE",
        "unit_scheme": "GSO_2025",
    }


def told(version: int, code: int, time: str, **more: Any) -> Progress:
    """Return a version of the province's; times in ``more`` as local texts."""
    times: dict[str, Any] = {
        name: at(more.pop(name)) for name in ("received_at", "due_at", "finished_at") if name in more
    }
    return Progress(more.pop("key", 1), version, code, at(time), **times, **more)


RECEIVED = told(1, 2, "2026-03-02 08:00", received_at="2026-03-02 08:00", due_at="2026-03-06 17:00")
"""A dossier that the province received on a Monday morning, due on Friday evening."""


def filing(key: int, version: int, procedure_code: str, source: str = "portal", **more: Any) -> dict[str, Any]:
    """Return the fields of a filing."""
    return {
        **_envelope(source, 1, version, at("2026-03-02 08:00")),
        "dossier_code": code_of(key),
        "procedure_code": procedure_code,
        **more,
    }


def open_dossier_world(url: str) -> World:
    """Return a world whose sources speak of dossiers."""
    return open_world(url, POLICY)


def commit_progress(world: World, *said: Progress, partition: int = 0) -> None:
    """Commit versions as one batch."""
    frame = world.frame(PROGRESS, [one.fields() for one in said], [dossier_key(one.key) for one in said], partition)
    world.commit_frames(partition, Accepted(PROGRESS, frame))


def commit_filing(world: World, key: int, row: dict[str, Any], partition: int = 1) -> None:
    """Commit a filing as a batch."""
    frame = world.frame(FILING, [row], [dossier_key(key)], partition)
    links = identity_links(frame, DOSSIER, DOSSIER.aspect("submission"), SECRET)
    world.commit_frames(partition, Accepted(FILING, frame, links=links))


def commit_procedure(world: World, number: int, code: str) -> None:
    """Make a procedure known, so that filings for it are not parked."""
    row = _envelope("portal", 1, 1, at("2026-01-05 08:00")) | {"procedure_code": code, "name": "x"}
    world.commit_frames(2, Accepted(PROCEDURE, world.frame(PROCEDURE, [row], [key_of(number)], 2)))


def open_reviews(world: World) -> dict[tuple[int, str], dict[str, Any]]:
    """Open questions about moves backwards, by dossier and source."""
    rows = world.rows(
        "SELECT r.key, s.code, r.aspect, r.field, r.detail FROM review r JOIN source s ON s.id = r.source "
        "WHERE r.kind = 'BACKWARD_STATUS' AND r.closed_at IS NULL"
    )
    assert {(row.aspect, row.field) for row in rows} <= {("dossier.progress", "status")}
    return {(number_of(row.key), row.code): row.detail for row in rows}


def stored_deadlines(world: World) -> dict[int, Any]:
    """The stored deadlines by dossier."""
    with world.engine.connect() as connection:
        rows = connection.execute(select(dossier_deadline)).all()
    return {number_of(row.key): row for row in rows}


def commit_unit(world: World, number: int, unit: dict[str, Any]) -> None:
    """Commit a province."""
    row = _envelope("nso", 1, 1, at("2025-06-01 08:00")) | {"level": "PROVINCE", "name": "x", **unit}
    world.commit_frames(2, Accepted(UNIT, world.frame(UNIT, [row], [key_of(number)], 2)))
