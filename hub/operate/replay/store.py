"""Stored plans of replays: read them, move them from state to state, ask a running one to pause or stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from hub.model.errors import ConfigError, HubError
from hub.model.replay_state import ReplayState
from hub.operate.actions import Action, note
from hub.operate.replay.filters import Selection
from hub.warehouse.database import translated_errors
from hub.warehouse.locks import Lock, session_lock
from hub.warehouse.tables.core import log_partition
from hub.warehouse.tables.replays import replay, replay_position

PREFIX = "replay_"
"""Prefix of a shadow's schema; the replay's number follows."""


class Asked(StrEnum):
    """A request to the process that runs a replay; it looks for one between batches."""

    PAUSE = "PAUSE"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class PlaceOfReplay:
    """How far a replay has read one log partition."""

    topic: str
    partition: int
    log: int
    first_offset: int
    end_offset: int
    copied_offset: int
    next_offset: int
    read: int
    selected: int


@dataclass(frozen=True, slots=True)
class Replay:
    """A plan with what became of it."""

    id: int
    made_at: datetime
    made_by: str
    why: str
    words: tuple[str, ...]
    selection: Selection
    estimate: dict[str, Any]
    publish: bool
    policy_digest: str
    revision: str
    shadow: str
    state: ReplayState
    asked: Asked | None
    changed_at: datetime
    events_per_s: float | None
    failed_at: datetime | None = None
    failure: str | None = None

    @property
    def state_shown(self) -> str:
        """Return the state, and whether the last try failed."""
        return f"{self.state.value}, failed" if self.failure else self.state.value

    def as_json(self) -> dict[str, Any]:
        """Return the replay as JSON values."""
        return asdict(self) | {
            "selection": self.selection.as_json(),
            "made_at": self.made_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
            "failed_at": self.failed_at and self.failed_at.isoformat(),
            "whole": self.selection.is_whole,
        }


def store_plan(connection: Connection, values: dict[str, Any]) -> int:
    """Store a plan; return its number."""
    number = int(connection.execute(insert(replay).values(**values, shadow="").returning(replay.c.id)).scalar_one())
    connection.execute(update(replay).values(shadow=f"{PREFIX}{number}").where(replay.c.id == number))
    return number


def replays(connection: Connection, most: int = 50) -> list[Replay]:
    """Return the latest plans, the newest first."""
    return [_of(row) for row in connection.execute(select(replay).order_by(replay.c.id.desc()).limit(most))]


def replay_numbered(connection: Connection, number: int) -> Replay:
    """Return a plan.

    Raises:
        ConfigError: there is none with that number.
    """
    row = connection.execute(select(replay).where(replay.c.id == number)).one_or_none()
    if row is None:
        raise ConfigError([f"there is no replay {number}: `hub replay list` lists the existing ones"])
    return _of(row)


def _of(row: Row[Any]) -> Replay:
    document = row.document
    return Replay(
        row.id,
        row.made_at,
        row.made_by,
        row.why,
        tuple(document["words"]),
        Selection.from_json(document["selection"]),
        document["estimate"],
        row.publish,
        row.policy_digest,
        row.revision,
        row.shadow,
        ReplayState(row.state),
        Asked(row.asked) if row.asked else None,
        row.changed_at,
        row.events_per_s,
        row.failed_at,
        row.failure,
    )


def places_of(connection: Connection, number: int) -> list[PlaceOfReplay]:
    """Return how far a replay has read each log partition, by topic and partition; empty before it ran."""
    position = replay_position
    rows = connection.execute(
        select(
            log_partition.c.topic,
            log_partition.c.partition,
            position.c.log,
            position.c.first_offset,
            position.c.end_offset,
            position.c.copied_offset,
            position.c.next_offset,
            position.c.read,
            position.c.selected,
        )
        .join(log_partition, log_partition.c.id == position.c.log)
        .where(position.c.replay == number)
        .order_by(log_partition.c.topic, log_partition.c.partition)
    )
    return [PlaceOfReplay(*row) for row in rows]


def set_state(connection: Connection, number: int, state: ReplayState, **more: Any) -> None:
    """Move a replay to a state, in the caller's transaction."""
    connection.execute(
        update(replay).values(state=state.value, changed_at=func.now(), **more).where(replay.c.id == number)
    )


def check_state(replay: Replay, doing: str, *allowed: ReplayState) -> None:
    """Refuse an action that a replay's state does not allow; raises ConfigError."""
    if replay.state not in allowed:
        needed = " or ".join(state.value for state in allowed)
        raise ConfigError([f"replay {replay.id} is {replay.state.value}: {doing} needs {needed}"])


def ask(engine: Engine, number: int, asked: Asked | None, by: Action) -> Replay:
    """Ask the process that runs a replay to pause or stop; None: to go on. Return the replay as it was before.

    Raises:
        ConfigError: there is no such replay, or it is not running.
    """
    with translated_errors("asking a replay"), engine.begin() as connection:
        found = replay_numbered(connection, number)
        check_state(found, by.name, ReplayState.FILLING, ReplayState.RUNNING)
        set_asked(connection, number, asked)
        note(connection, by)
    return found


def set_asked(connection: Connection, number: int, asked: Asked | None) -> None:
    """Store a request to a replay, in the caller's transaction."""
    connection.execute(update(replay).values(asked=asked and asked.value).where(replay.c.id == number))


def asked_of(connection: Connection, number: int) -> Asked | None:
    """Return the present request to a replay."""
    asked = connection.execute(select(replay.c.asked).where(replay.c.id == number)).scalar_one()
    return Asked(asked) if asked else None


@contextmanager
def hold_replay(engine: Engine, number: int) -> Iterator[None]:
    """Hold a replay while a ``with`` block works on it; raises HubError if another process holds it."""
    with session_lock(engine, Lock.REPLAY, number) as mine:
        if mine is None:
            raise HubError(f"another process works on replay {number}")
        yield
