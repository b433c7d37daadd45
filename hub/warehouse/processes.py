"""Heartbeats in the warehouse: store them, judge them, open and close the alerts that follow.

Each function runs in the caller's transaction, which is never a batch's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from hub.machine import has_ended
from hub.model.alerts import (
    CONNECTOR_BEHIND,
    CONNECTOR_GONE,
    SHARE_BEHIND,
    SHARE_GONE,
    WORKER_GONE,
    Alert,
)
from hub.model.processes import Beat, Condition, Judged, Limits, Role, judged, moved
from hub.model.role_stops import EXPECTED, role_stops
from hub.warehouse.alerts import Raised, clear_alert, raise_alert
from hub.warehouse.chores import settle_chore_alerts
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import source
from hub.warehouse.tables.processes import process

FORGET_ENDED_AFTER = timedelta(days=7)
MOST_OF_A_SOURCE = 20
"""Maximum number of connectors of one source."""

ALERT_OF: dict[tuple[Role, Condition], Alert] = {
    (Role.WORKER, Condition.GONE): WORKER_GONE,
    (Role.WORKER, Condition.STANDS_STILL): WORKER_GONE,
    (Role.SHARE, Condition.GONE): SHARE_GONE,
    (Role.SHARE, Condition.STANDS_STILL): SHARE_GONE,
    (Role.SHARE, Condition.BEHIND): SHARE_BEHIND,
    (Role.CONNECTOR, Condition.GONE): CONNECTOR_GONE,
    (Role.CONNECTOR, Condition.STANDS_STILL): CONNECTOR_GONE,
    (Role.CONNECTOR, Condition.BEHIND): CONNECTOR_BEHIND,
}
"""The alert that a process in this condition opens; other pairs open none."""


STOP_ALERT = {Role.WORKER: WORKER_GONE, Role.SHARE: SHARE_GONE}
"""The alert that is opened when no process of a role runs."""
STOP_PLACE = "hub"


def admitted_beats(connection: Connection, beats: Sequence[Beat]) -> list[Beat]:
    """Return the heartbeats of connectors that are known, or whose source may have one more.

    Whoever may write heartbeats may write any name. So the table holds at most ``MOST_OF_A_SOURCE`` connectors per
    source.
    """
    known = set(connection.execute(select(process.c.name).where(process.c.role == Role.CONNECTOR.value)).scalars())
    sources = set(connection.execute(select(source.c.code)).scalars())
    of_source = Counter(_source_of(name) for name in known)
    admitted = []
    for beat in beats:
        code = _source_of(beat.name)
        if beat.name not in known:
            if code not in sources or of_source[code] >= MOST_OF_A_SOURCE:
                continue
            of_source[code] += 1
        admitted.append(beat)
    return admitted


def _source_of(name: str) -> str:
    """Return the source at the beginning of a connector's name: ``source/declaration``."""
    return name.partition("/")[0]


def keep_beats(connection: Connection, beats: Iterable[Beat], heard_now: bool) -> None:
    """Store heartbeats over the previous ones; an older one changes nothing.

    Args:
        connection: in a transaction of its own.
        beats: each process once.
        heard_now: they are the caller's own and were made now: their times are moved to the database's clock, by which
            they are judged.
    """
    if heard_now:
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        beats = [moved(beat, now - beat.beat_at) for beat in beats]
    for row in map(asdict, beats):
        given = insert(process).values(row)
        wanted = {field.name: given.excluded[field.name] for field in fields(Beat)}
        connection.execute(
            given.on_conflict_do_update(
                index_elements=["role", "name"], set_=wanted, where=process.c.beat_at <= given.excluded.beat_at
            )
        )
    later = process.alias()
    is_last = ~select(later.c.name).where(later.c.role == process.c.role, later.c.beat_at > process.c.beat_at).exists()
    is_expected = process.c.role.in_([role.value for role in EXPECTED])
    is_old = process.c.ended_at < func.now() - FORGET_ENDED_AFTER
    connection.execute(delete(process).where(is_old, ~(is_last & is_expected)))


def forget_beat(connection: Connection, role: Role, name: str) -> None:
    """Forget a process."""
    connection.execute(delete(process).where(process.c.role == role.value, process.c.name == name))


def read_processes(connection: Connection, limits: Limits) -> list[Judged]:
    """Return every known process and its condition now, by the database's clock and what runs on this machine."""
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    rows = connection.execute(select(*(process.c[field.name] for field in fields(Beat))))
    beats = [Beat(**(row._asdict() | {"role": Role(row.role)})) for row in rows]
    return judged(beats, now, limits, lambda beat: has_ended(beat.machine, beat.pid))


def settle_process_alerts(connection: Connection, limits: Limits) -> None:
    """Open an alert for each process that needs attention; close the alerts of processes that are in order again."""
    found = read_processes(connection, limits)
    places: dict[str, list[str]] = {alert.name: [] for alert in ALERT_OF.values()}
    for one in found:
        alert = ALERT_OF.get((one.beat.role, one.condition))
        if alert is not None:
            raise_alert(connection, alert, one.beat.name, detail_of(one))
            places[alert.name].append(one.beat.name)
    for stop in role_stops(found, limits):
        raise_alert(connection, STOP_ALERT[stop.role], STOP_PLACE, str(stop))
        places[STOP_ALERT[stop.role].name].append(STOP_PLACE)
    for alert in {alert.name: alert for alert in ALERT_OF.values()}.values():
        clear_alert(connection, alert, places[alert.name])
    workers = [one for one in found if one.beat.role is Role.WORKER]
    settle_chore_alerts(connection, {one.beat.name for one in workers if one.condition is not Condition.ENDED})


def settle_without_worker(connection: Connection, limits: Limits) -> None:
    """Settle the alerts of processes if no worker is heard that does it."""
    workers = [one for one in read_processes(connection, limits) if one.beat.role is Role.WORKER]
    if all(one.condition in (Condition.GONE, Condition.ENDED) for one in workers):
        settle_process_alerts(connection, limits)


def with_process_alerts(engine: Engine, limits: Limits, stored: list[Raised]) -> list[Raised]:
    """Return stored alerts as they should be now, even if no process is left that settles them.

    Raises:
        RetryableError: the warehouse cannot be asked.
    """
    with translated_errors("reading the heartbeats"), engine.connect() as connection:
        found = read_processes(connection, limits)
    names = {alert.name for alert in ALERT_OF.values()}
    kept = [one for one in stored if one.name not in names or one.closed_at is not None]
    before = {(one.name, one.place): one for one in stored if one.name in names and one.closed_at is None}
    for one in found:
        alert = ALERT_OF.get((one.beat.role, one.condition))
        if alert is not None:
            since = before.get((alert.name, one.beat.name))
            kept.append(since or _raised(alert, one, limits))
    for stop in role_stops(found, limits):
        alert, opened_at = STOP_ALERT[stop.role], stop.since + timedelta(seconds=limits.gone_s)
        raised = Raised(alert.name, STOP_PLACE, opened_at, opened_at, 1, None, str(stop))
        kept.append(before.get((alert.name, STOP_PLACE)) or raised)
    return sorted(kept, key=lambda one: one.opened_at)


def _raised(alert: Alert, one: Judged, limits: Limits) -> Raised:
    opened_at = one.beat.beat_at + timedelta(seconds=limits.gone_s)
    return Raised(alert.name, one.beat.name, opened_at, opened_at, 1, None, detail_of(one))


def detail_of(one: Judged) -> str:
    """Describe what is wrong with a process."""
    beat = one.beat
    match one.condition:
        case Condition.GONE:
            return f"no heartbeat of process {beat.pid} on {beat.host} since {beat.beat_at:%Y-%m-%d %H:%M:%S} UTC"
        case Condition.STANDS_STILL:
            return f"process {beat.pid} on {beat.host} does nothing since {beat.progress_at:%Y-%m-%d %H:%M:%S} UTC"
        case Condition.BEHIND:
            records = "" if beat.behind is None else f", {beat.behind:,} records"
            waits = f"; it waits for: {beat.waits_for}" if beat.waits_for else ""
            return f"{beat.behind_s or 0:.0f} s behind{records}{waits}"
        case _:
            return one.condition.value
