"""Search the evidence: events, and actions of people, by key, source, officer, purpose and time.

Audit rows and actions contain keys and codes, no personal values. The search itself is recorded like any other action.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, select

from hub.model.errors import ConfigError
from hub.operate.actions import Action, note
from hub.warehouse.evidence.find import rows_naming, sought
from hub.warehouse.tables.core import action, audit, log_partition, source

SEARCH = "audit.search"


@dataclass(frozen=True, slots=True)
class EvidenceFilter:
    """What is searched for; None: any. ``keys``: of one thing; ``officer`` and ``purpose``: of actions only."""

    keys: Sequence[UUID] = field(default=())
    source: str | None = None
    officer: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """Events and actions, the newest first, at most ``limit`` of each."""

    events: list[dict[str, Any]]
    actions: list[dict[str, Any]]


def search(connection: Connection, wanted: EvidenceFilter, by: str, why: str) -> EvidenceFound:
    """Return what was found; the same transaction records who searched for what.

    Raises:
        ConfigError: nothing narrows the search.
    """
    if not (wanted.keys or wanted.source or wanted.officer or wanted.purpose or wanted.since):
        raise ConfigError(["say what to search for: --key, --source, --officer, --purpose or --since"])
    detail = {
        "keys": len(wanted.keys),
        "source": wanted.source,
        "officer": wanted.officer,
        "since": wanted.since and wanted.since.isoformat(),
        "until": wanted.until and wanted.until.isoformat(),
    }
    note(connection, Action(by, SEARCH, why, None, wanted.keys[0] if wanted.keys else None, detail))
    of_people = wanted.officer is not None or wanted.purpose is not None
    parameters = sought(wanted.keys) if wanted.keys else {}
    events = [] if of_people else connection.execute(_events(wanted), parameters).mappings().all()
    actions = [] if wanted.source else connection.execute(_actions(wanted)).mappings().all()
    return EvidenceFound([dict(row) for row in events], [dict(row) for row in actions])


def _events(wanted: EvidenceFilter) -> Select[Any]:
    rows = (rows_naming(audit.c.key) if wanted.keys else select(audit)).subquery("found")
    query = (
        select(
            rows.c.recorded_at,
            log_partition.c.topic,
            log_partition.c.partition,
            rows.c.log_offset,
            rows.c.outcome,
            rows.c.reason,
            source.c.code.label("source"),
            rows.c.key,
            rows.c.event_id,
        )
        .join_from(rows, log_partition, log_partition.c.id == rows.c.log)
        .join(source, source.c.id == rows.c.source, isouter=True)
        .order_by(rows.c.recorded_at.desc(), rows.c.log, rows.c.log_offset.desc())
        .limit(wanted.limit)
    )
    if wanted.source is not None:
        query = query.where(source.c.code == wanted.source)
    return _in_time(query, rows.c.recorded_at, wanted)


def _actions(wanted: EvidenceFilter) -> Select[Any]:
    names = ("id", "at", "actor", "action", "purpose", "entity", "key")
    query = select(*(action.c[name] for name in names)).order_by(action.c.id.desc()).limit(wanted.limit)
    if wanted.keys:
        query = query.where(action.c.key.in_(wanted.keys))
    if wanted.officer is not None:
        query = query.where(action.c.actor == wanted.officer)
    if wanted.purpose is not None:
        query = query.where(action.c.purpose.icontains(wanted.purpose, autoescape=True))
    return _in_time(query, action.c.at, wanted)


def _in_time(query: Select[Any], moment: Any, wanted: EvidenceFilter) -> Select[Any]:
    if wanted.since is not None:
        query = query.where(moment >= wanted.since)
    return query if wanted.until is None else query.where(moment < wanted.until)
