"""Search the evidence: events, and actions of people, by key, source, officer, purpose and time.

Audit rows and actions contain keys and codes, no personal values. The search itself is recorded like any other action.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from hub.log.places import Place, place_of, place_text
from hub.model.errors import ConfigError
from hub.operate.actions import Action, note
from hub.warehouse.evidence.find import rows_naming, sought
from hub.warehouse.tables.core import action, audit, log_partition, source

SEARCH = "audit.search"


@dataclass(frozen=True, slots=True)
class EvidenceFilter:
    """What is searched for; None: any.

    Fields:
        keys: keys of one thing.
        officer, purpose: of actions only.
        about: what the details of an action name: a record's place, an operator, a process, a replay's number. The
            event at that place is found as well.
    """

    keys: Sequence[UUID] = field(default=())
    source: str | None = None
    officer: str | None = None
    purpose: str | None = None
    about: str | None = None
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
    if not any((wanted.keys, wanted.source, wanted.officer, wanted.purpose, wanted.about, wanted.since)):
        raise ConfigError(["say what to search for: --key, --about, --source, --by, --purpose or --since"])
    detail = {
        "keys": len(wanted.keys),
        "source": wanted.source,
        "officer": wanted.officer,
        "about": wanted.about,
        "since": wanted.since and wanted.since.isoformat(),
        "until": wanted.until and wanted.until.isoformat(),
    }
    note(connection, Action(by, SEARCH, why, None, wanted.keys[0] if wanted.keys else None, detail))
    place = _place_in(wanted.about)
    of_people = wanted.officer is not None or wanted.purpose is not None or (wanted.about is not None and place is None)
    parameters = sought(wanted.keys) if wanted.keys else {}
    events = [] if of_people else connection.execute(_events(wanted, place), parameters).mappings().all()
    actions = [] if wanted.source else connection.execute(_actions(wanted)).mappings().all()
    return EvidenceFound([dict(row) for row in events], [dict(row) for row in actions])


def _place_in(about: str | None) -> Place | None:
    try:
        return None if about is None else place_of(about)
    except ConfigError:
        return None  # the name of something else


def _events(wanted: EvidenceFilter, place: Place | None) -> Select[Any]:
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
            *(rows.c[name] for name in ("detail", "flags", "source_epoch", "source_version", "occurred_at")),
        )
        .join_from(rows, log_partition, log_partition.c.id == rows.c.log)
        .join(source, source.c.id == rows.c.source, isouter=True)
        .order_by(rows.c.recorded_at.desc(), rows.c.log, rows.c.log_offset.desc())
        .limit(wanted.limit)
    )
    if wanted.source is not None:
        query = query.where(source.c.code == wanted.source)
    if place is not None:
        log = (log_partition.c.topic == place.topic, log_partition.c.partition == place.partition)
        query = query.where(*log, rows.c.log_offset == place.offset)
    return _in_time(query, rows.c.recorded_at, wanted)


def _actions(wanted: EvidenceFilter) -> Select[Any]:
    names = ("id", "at", "actor", "action", "purpose", "entity", "key", "detail")
    query = select(*(action.c[name] for name in names)).order_by(action.c.id.desc()).limit(wanted.limit)
    if wanted.keys:
        query = query.where(action.c.key.in_(wanted.keys))
    if wanted.officer is not None:
        query = query.where(action.c.actor == wanted.officer)
    if wanted.purpose is not None:
        query = query.where(action.c.purpose.icontains(wanted.purpose, autoescape=True))
    if wanted.about is not None:
        place = _place_in(wanted.about)
        query = query.where(_names(wanted.about if place is None else place_text(place)))
    return _in_time(query, action.c.at, wanted)


def _names(about: str) -> ColumnElement[bool]:
    """Return whether an action's details contain a value, at any depth: as a text or, if it is one, as a number.

    What an action names is also found in the details of what relied on it, e.g. an approval's letter in a redrive.
    """
    values: dict[str, str | int] = {"text": about}
    either = "@ == $text"
    if about.isascii() and about.isdigit():
        values["number"] = int(about)
        either += " || @ == $number"
    return func.jsonb_path_exists(action.c.detail, cast(f"strict $.** ? ({either})", JSONPATH), cast(values, JSONB))


def _in_time(query: Select[Any], moment: Any, wanted: EvidenceFilter) -> Select[Any]:
    if wanted.since is not None:
        query = query.where(moment >= wanted.since)
    return query if wanted.until is None else query.where(moment < wanted.until)
