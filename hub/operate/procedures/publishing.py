"""Publish a catalogue of procedures from a file, as ``procedure.changed`` events of a source in the policy.

What the source has already said and the file repeats is not published. A procedure that differs gets the
next version of its claim. Versions are small, so that a portal that publishes the catalogue later can continue above
them.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select

from hub.embedded.locate import Endpoints
from hub.model.envelope import Operation
from hub.model.errors import ConfigError
from hub.model.policies.policy import Policy, Source
from hub.operate.log.publish import publish
from hub.operate.procedures.reading import KEY, SUBJECT, Row
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import source as sources
from hub.warehouse.tables.entities import aspect_tables

_EVENT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, f"hub:{SUBJECT}:file")


@dataclass(frozen=True, slots=True)
class CataloguePlan:
    """What publishing a file would do. ``events``: the events to send for new and changed procedures."""

    source: str
    rows: int
    new: int
    changed: int
    same: int
    events: Sequence[Row] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        told = asdict(self)
        del told["events"]
        return told


def source_that_may(policy: Policy, code: str | None, now: datetime) -> Source:
    """Return the source of the policy that publishes the catalogue.

    Raises:
        ConfigError: no source may publish it, or several may and none is named.
    """
    allowed = {one.code: one for one in policy.sources.values() if SUBJECT in one.subjects}
    if code is None and len(allowed) == 1:
        (code,) = allowed
    if code is None:
        names = ", ".join(sorted(allowed)) or "none"
        raise ConfigError([f"--source: name the source that publishes the catalogue; the policy allows {names}"])
    found = policy.sources.get(code)
    if found is None:
        raise ConfigError([f"--source {code}: the policy does not know this source"])
    if code not in allowed:
        raise ConfigError([f"--source {code}: the policy does not let it speak of {SUBJECT}"])
    if (found.valid_from and now < found.valid_from) or (found.valid_until and now >= found.valid_until):
        raise ConfigError([f"--source {code}: by the policy it may not speak now: valid_from, valid_until"])
    return found


def plan_catalogue(engine: Engine, source: Source, rows: Sequence[Row], at: datetime) -> CataloguePlan:
    """Compare a file with what the source has said, according to the warehouse.

    Args:
        engine: of the warehouse.
        source: who says it.
        rows: as ``hub.operate.procedures.reading`` gives them.
        at: when the file was written; becomes ``occurred_at``.
    """
    stood = _claims(engine, source.code)
    events, new, changed = list[Row](), 0, 0
    for row in rows:
        before = stood.get(row[KEY])
        if before is None:
            new += 1
        elif any(before[name] != value for name, value in row.items()) or before["revoked"]:
            changed += 1
        else:
            continue
        epoch, version = (before["source_epoch"], before["source_version"] + 1) if before else (1, 1)
        events.append(_event(source, row, at, epoch, version))
    return CataloguePlan(source.code, len(rows), new, changed, len(rows) - new - changed, events)


def publish_catalogue(where: Endpoints, plan: CataloguePlan) -> int:
    """Publish the new and the changed procedures; blocks until the broker has confirmed all.

    Raises:
        UnreachableError: the broker does not answer.
    """
    return publish(where, SUBJECT, plan.events) if plan.events else 0


def _claims(engine: Engine, source: str) -> dict[str, Row]:
    claim = aspect_tables(SUBJECT).claim
    wanted = select(claim).join(sources, sources.c.id == claim.c.source).where(sources.c.code == source)
    with translated_errors("reading the catalogue of procedures"), engine.connect() as connection:
        return {row[KEY]: dict(row) for row in connection.execute(wanted).mappings()}


def _event(source: Source, row: Row, at: datetime, epoch: int, version: int) -> Row:
    content = hashlib.sha256(json.dumps(row, default=str, sort_keys=True).encode()).hexdigest()
    return {
        "event_id": uuid.uuid5(_EVENT_IDS, f"{source.code}|{row[KEY]}|{epoch}|{version}|{content}"),
        "occurred_at": at,
        "recorded_at": datetime.now(UTC),
        "source_system": source.code,
        "source_agency": source.agency,
        "source_epoch": epoch,
        "source_version": version,
        "operation": Operation.SNAPSHOT.value,
        "unit_scheme": source.unit_scheme.value,
        **row,
    }
