"""Answer one question about one thing: look it up, record who unmasks it, read its events back, mask the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine

from hub.model.declaration import Entity
from hub.model.errors import HubError, UnreachableError
from hub.operate.actions import UNMASK, Action, note
from hub.operate.log.read_back import read_values
from hub.operate.records.claims import Speaker
from hub.operate.records.events import events_of, events_of_decisions, with_values
from hub.operate.records.find import find_keys
from hub.operate.records.history import NO_LIMITS, Event, Limits, with_changes
from hub.operate.records.thing import Shown, masked_shown, past, show, speakers_by_aspect
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import known_topic_ids

MAYBE_REJECTED = (
    "its source may have rejected the row: on the source's side, `hub connect rejects DECLARATION.toml` shows the rows "
    "that were not sent, and `hub connect status DECLARATION.toml` how far it has read"
)
"""What to look at when the hub has nothing of a thing: a connector tells the hub nothing of single rejected rows."""


class NoSuchThingError(HubError):
    """The hub knows nothing about the thing."""

    code = "NOT_FOUND"


class NotOneThingError(HubError):
    """The text means several things."""

    code = "AMBIGUOUS"


@dataclass(frozen=True, slots=True)
class Unmasking:
    """Who wants to see personal values, and why."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Fields:
        who: a code or a key; never in a message.
        history: whether the events are wanted.
        unmasking: None: personal and sensitive values stay masked.
        archive: folder that holds what the log no longer holds; None: there is none.
    """

    entity: Entity
    who: str
    limits: Limits = NO_LIMITS
    history: bool = False
    unmasking: Unmasking | None = None
    archive: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is shown. ``is_complete`` is false if the state depends on the log and the log was unreachable."""

    shown: Shown
    is_masked: bool
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    shown: Shown
    events: list[Event]
    speakers: dict[str, dict[str, Speaker]]
    topic_ids: Mapping[str, UUID] = field(default_factory=dict)


def answer(engine: Engine, bootstrap: str, secret: str, request: Request) -> Answer:
    """Return what the hub holds, or held, of a thing.

    The transaction that reads also records who unmasks; it is committed before anything is returned.

    Raises:
        NoSuchThingError: the hub knows nothing about it.
        UnreachableError: the database does not answer.
        ConfigError: unmasking without a reason; a text that can be no code of the entity.
    """
    with translated_errors("looking a record up"), engine.connect() as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            found = _found(connection, secret, request)
    shown, is_complete = found.shown, True
    if request.history or request.limits.are_set:
        events, problem = _with_values(bootstrap, found, request.archive)
        is_complete = not (problem and request.limits.are_set)
        shown = _with_past(found, events, request, problem)
    return Answer(shown if request.unmasking else masked_shown(shown), request.unmasking is None, is_complete)


def _found(connection: Connection, secret: str, request: Request) -> _Found:
    keys = find_keys(connection, request.entity, request.who, secret)
    shown = _looked_up(connection, request.entity, keys)
    if request.unmasking is not None:
        detail = {"history": request.history} | {
            name: limit.isoformat()
            for name, limit in (("as_of", request.limits.as_of), ("known_at", request.limits.known_at))
            if limit is not None
        }
        by, why = request.unmasking.actor, request.unmasking.reason
        note(connection, Action(by, UNMASK, why, request.entity.name, shown.key, detail))
    if not (request.history or request.limits.are_set):
        return _Found(shown, [], {})
    events = events_of(connection, request.entity, shown.keys)
    events += events_of_decisions(connection, request.entity, shown.keys)
    events.sort(key=lambda event: (event.recorded_at, event.batch, event.place.offset))
    speakers = speakers_by_aspect(connection, request.entity)
    return _Found(shown, events, speakers, known_topic_ids(connection))


def _looked_up(connection: Connection, entity: Entity, keys: tuple[UUID, ...]) -> Shown:
    shown = next((found for key in keys if (found := show(connection, entity, key)) is not None), None)
    if shown is None:
        raise NoSuchThingError(f"the hub knows no such {entity.label}; {MAYBE_REJECTED}")
    others = [key for key in keys if key not in shown.keys and show(connection, entity, key) is not None]
    if others:
        which = ", ".join(str(key) for key in (shown.key, *others))
        raise NotOneThingError(f"this number is that of more than one {entity.label}; ask for one by key: {which}")
    return shown


def _with_values(bootstrap: str, found: _Found, archive: Path | None) -> tuple[list[Event], str]:
    """Return the events with their values, and the problem if the log cannot be reached."""
    events = found.events
    try:
        read = read_values(bootstrap, [event.place for event in events], archive, found.topic_ids)
    except UnreachableError as error:
        return events, error.message
    return with_values(events, read), ""


def _with_past(found: _Found, events: list[Event], request: Request, problem: str) -> Shown:
    shown, limits = found.shown, request.limits
    if limits.are_set and not problem:
        shown = past(shown, events, limits, found.speakers)
    elif limits.are_set:
        shown = replace(shown, sides=(), limits=limits)
    notes = [f"{problem}: events are shown without their values"] if problem else []
    unread = sum(event.is_accepted and event.values is None for event in events)
    if unread and not problem:
        notes.append(f"the log no longer holds {unread} of the accepted events: they may be missing from a past state")
    wanted = with_changes(events, found.shown.entity) if request.history or problem else []
    return replace(shown, events=tuple(wanted), notes=(*shown.notes, *notes))
