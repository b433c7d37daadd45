"""Which processes of the hub run, and which should run but do not, judged by their heartbeats.

A worker, a share or a connector sends a heartbeat every few seconds. A process that ends in order says so in its last
one. A process that sends no more heartbeats, and did not say so, is gone. A process that sends heartbeats, but whose
main loop makes no progress, stands still.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import Any

from hub.model.texts.visible import visible


@cache
def hub_version() -> str:
    """Return the version of the hub that runs."""
    return version("hub")


class Role(StrEnum):
    """What a process does."""

    WORKER = "worker"
    SHARE = "share"
    CONNECTOR = "connector"


class Condition(StrEnum):
    """The condition of a process."""

    RUNS = "runs"
    WAITS = "waits"
    """It waits for something that is unreachable or held by another; ``Beat.waits_for`` says what."""
    BEHIND = "behind"
    """What it still has to do is older than the limit, whether it waits for something or not."""
    STANDS_STILL = "stands still"
    """It sends heartbeats, but its main loop makes no progress."""
    GONE = "gone"
    """It sends no more heartbeats, and did not say that it ended."""
    ENDED = "ended"
    """It ended in order, or another process replaced it."""


IN_ORDER = (Condition.RUNS, Condition.WAITS, Condition.ENDED)


@dataclass(frozen=True, slots=True)
class Beat:
    """The last heartbeat of one process.

    Fields:
        role, name: which process: ``host:pid`` of a worker or share, the source and declaration of a connector.
        host, pid: where it runs.
        version: of the hub.
        began_at: when it began.
        beat_at: when it was last heard of.
        progress_at: when its main loop last made progress.
        doing: what it does, in a few words.
        waits_for, waits_since: what it waits for, and since when; None: for nothing.
        behind: number of records that it still has to process; None: unknown.
        behind_s: age of the oldest of them in seconds; None: unknown.
        ended_at: when it ended in order; None: it did not.
        machine: which process on which machine this is (hub.machine); None: unknown.
    """

    role: Role
    name: str
    host: str
    pid: int
    version: str
    began_at: datetime
    beat_at: datetime
    progress_at: datetime
    doing: str = ""
    waits_for: str | None = None
    waits_since: datetime | None = None
    behind: int | None = None
    behind_s: float | None = None
    ended_at: datetime | None = None
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in seconds: without a heartbeat (gone), without progress (stands still), of the backlog (behind)."""

    gone_s: float
    still_s: float
    behind_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A process and its condition."""

    beat: Beat
    condition: Condition
    silent_s: float

    @property
    def in_order(self) -> bool:
        """Whether the process needs no attention."""
        return self.condition in IN_ORDER

    def as_json(self) -> dict[str, Any]:
        """Return the process as commands print it with ``--json``; times are in ISO 8601."""
        beat = self.beat
        return {
            "role": beat.role.value,
            "name": beat.name,
            "condition": self.condition.value,
            "host": beat.host,
            "pid": beat.pid,
            "version": beat.version,
            "began_at": beat.began_at.isoformat(),
            "beat_at": beat.beat_at.isoformat(),
            "silent_s": round(self.silent_s, 1),
            "doing": beat.doing,
            "waits_for": beat.waits_for,
            "waits_since": beat.waits_since and beat.waits_since.isoformat(),
            "behind": beat.behind,
            "behind_s": beat.behind_s,
            "ended_at": beat.ended_at and beat.ended_at.isoformat(),
        }


def judged(
    beats: Iterable[Beat], now: datetime, limits: Limits, has_ended: Callable[[Beat], bool] = lambda _: False
) -> list[Judged]:
    """Return the condition of each process, by role and name.

    ``has_ended`` tells whether a process is known to have ended, so that nobody needs to wait for its silence. It is
    not asked about connectors.

    A new process of a role replaces one process that is gone, not several: if two workers were killed and one was
    started, one is still missing. Connectors' heartbeats arrive through the workers, and so does the last one, which
    says that the connector ended. So a connector's silence counts only while some worker ran that could hear it.
    """
    known = sorted(beats, key=lambda beat: (beat.role, beat.name))
    workers = [beat for beat in known if beat.role is Role.WORKER]
    counted = [
        _heard_by(workers, beat.beat_at, now) if beat.role is Role.CONNECTOR else max(timedelta(), now - beat.beat_at)
        for beat in known
    ]
    others = [beat for beat in known if beat.role is not Role.CONNECTOR]
    gone = [
        beat
        for beat, silent in zip(known, counted, strict=True)
        if beat.ended_at is None
        and (silent.total_seconds() > limits.gone_s or (beat.role is not Role.CONNECTOR and has_ended(beat)))
    ]
    replaced = _replaced(others, gone)
    found = []
    for beat, silent in zip(known, counted, strict=True):
        if beat in gone:
            condition = Condition.ENDED if beat.name in replaced else Condition.GONE
        else:
            condition = _condition(beat, beat.beat_at + silent, limits)
        found.append(Judged(beat, condition, max(0.0, (now - beat.beat_at).total_seconds())))
    return found


def _heard_by(workers: Iterable[Beat], since: datetime, now: datetime) -> timedelta:
    """Return for how long, between two times, at least one worker ran."""
    total, until = timedelta(), since
    for worker in sorted(workers, key=lambda beat: beat.began_at):
        begin, end = max(worker.began_at, until), min(worker.beat_at, now)
        if end > begin:
            total, until = total + (end - begin), end
    return total


def _condition(beat: Beat, now: datetime, limits: Limits) -> Condition:
    """Return the condition of a process that is not gone."""
    if beat.ended_at is not None:
        return Condition.ENDED
    if beat.behind_s is not None and beat.behind_s > limits.behind_s:
        return Condition.BEHIND
    if beat.waits_for is not None:
        return Condition.WAITS
    if (now - beat.progress_at).total_seconds() > limits.still_s:
        return Condition.STANDS_STILL
    return Condition.RUNS


def _replaced(beats: Sequence[Beat], gone: Sequence[Beat]) -> set[str]:
    """Return the names of processes that are gone and that another process of their role has replaced since."""
    found: set[str] = set()
    for role in Role:
        mine = [beat for beat in beats if beat.role is role]
        began = sorted((beat for beat in mine), key=lambda beat: beat.began_at)
        for one in sorted((beat for beat in gone if beat.role is role), key=lambda beat: beat.beat_at):
            successor = next((beat for beat in began if beat.began_at > one.beat_at), None)
            if successor is not None:
                began.remove(successor)
                found.add(one.name)
    return found


def moved(beat: Beat, by: timedelta) -> Beat:
    """Return a heartbeat with its times moved to another clock."""
    return replace(
        beat,
        began_at=beat.began_at + by,
        beat_at=beat.beat_at + by,
        progress_at=beat.progress_at + by,
        waits_since=None if beat.waits_since is None else beat.waits_since + by,
        ended_at=None if beat.ended_at is None else beat.ended_at + by,
    )


def beat_to_json(beat: Beat) -> dict[str, Any]:
    """Return a connector's heartbeat for Kafka; the reader adds the time at which it was received."""
    return {
        "role": beat.role.value,
        "name": beat.name,
        "host": beat.host,
        "pid": beat.pid,
        "version": beat.version,
        "at": beat.beat_at.isoformat(),
        "began_at": beat.began_at.isoformat(),
        "progress_at": beat.progress_at.isoformat(),
        "doing": beat.doing,
        "waits_for": beat.waits_for,
        "waits_since": beat.waits_since and beat.waits_since.isoformat(),
        "behind": beat.behind,
        "behind_s": beat.behind_s,
        "ended_at": beat.ended_at and beat.ended_at.isoformat(),
        "machine": beat.machine,
    }


_MOST_TEXT = 200
_MOST_BEHIND = 2**53
_LONGEST = timedelta(days=3_650)
"""No process runs or waits for longer than this; an earlier time is set to this long ago."""


def beat_from_json(said: Mapping[str, Any], heard_at: datetime) -> Beat | None:
    """Return a heartbeat read from Kafka, or None if it is not one: whoever writes there may write anything.

    A connector's clock may be wrong, so its times are moved by the difference between the clocks. None of them is later
    than the moment at which the heartbeat was received.
    """
    try:
        role = Role(said["role"])
        said_at = datetime.fromisoformat(said["at"])
        times = {name: _time(said.get(name), said_at, heard_at) for name in ("waits_since", "ended_at")}
        began_at, progress_at = (_time(said[name], said_at, heard_at) for name in ("began_at", "progress_at"))
        if role is not Role.CONNECTOR or began_at is None or progress_at is None or said_at.tzinfo is None:
            return None
        behind, behind_s = said.get("behind"), said.get("behind_s")
        return Beat(
            role=role,
            name=_text(said["name"]),
            host=_text(said["host"]),
            pid=int(said["pid"]) % 2**31,
            version=_text(said["version"]),
            began_at=began_at,
            beat_at=heard_at,
            progress_at=progress_at,
            doing=_text(said.get("doing") or ""),
            waits_for=None if said.get("waits_for") is None else _text(said["waits_for"]),
            waits_since=times["waits_since"],
            behind=None if behind is None else max(0, min(int(behind), _MOST_BEHIND)),
            behind_s=None if behind_s is None else max(0.0, min(float(behind_s), float(_MOST_BEHIND))),
            ended_at=times["ended_at"],
            machine=None if said.get("machine") is None else _text(said["machine"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def _text(given: object) -> str:
    return visible(str(given)[:_MOST_TEXT])


def _time(text: object, said_at: datetime, heard_at: datetime) -> datetime | None:
    if text is None:
        return None
    return heard_at - min(max(said_at - _utc(text), timedelta()), _LONGEST)


def _utc(text: object) -> datetime:
    given = datetime.fromisoformat(str(text))
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)
