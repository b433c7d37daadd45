"""What an operator does about the hub's processes: see the state of each, and forget one that will not come back."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, inspect

from hub.model.alerts import Severity, alert_named
from hub.model.errors import ConfigError, HubError
from hub.model.processes import Condition, Judged, Limits
from hub.model.role_stops import RoleStop, role_stops
from hub.operate.actions import Action, note
from hub.warehouse.alerts import read_alerts
from hub.warehouse.database import translated_errors
from hub.warehouse.processes import ALERT_OF, forget_beat, read_processes
from hub.warehouse.tables.processes import process

FORGET = "forget process"


@dataclass(frozen=True, slots=True)
class Processes:
    """Every process that has sent a heartbeat; or why they cannot be read.

    Fields:
        found: each process and its state.
        unknown: why the heartbeats cannot be read; empty if they can.
        stops: roles of which no process runs any more.
        pages: open alerts of other kinds that cannot wait, each as name and place.
    """

    found: tuple[Judged, ...] = ()
    unknown: str = ""
    stops: tuple[RoleStop, ...] = ()
    pages: tuple[str, ...] = ()

    @property
    def out_of_order(self) -> tuple[Judged, ...]:
        """Return the processes that somebody must look at."""
        return tuple(one for one in self.found if not one.in_order)

    @property
    def need_attention(self) -> bool:
        """Whether a process needs attention, or none runs where one must."""
        return bool(self.out_of_order or self.stops)


def look_at_processes(engine: Engine, limits: Limits) -> Processes:
    """Return the state of the processes. An unreachable warehouse or missing tables are returned, not raised."""
    try:
        with translated_errors("reading the heartbeats"), engine.connect() as connection:
            if not inspect(connection).has_table(process.name):
                return Processes(unknown="the warehouse has no table of processes yet: run `hub db migrate`")
            found = read_processes(connection, limits)
            return Processes(tuple(found), stops=tuple(role_stops(found, limits)), pages=tuple(_pages(connection)))
    except HubError as error:
        return Processes(unknown=error.message)


def _pages(connection: Connection) -> Iterator[str]:
    of_processes = {alert.name for alert in ALERT_OF.values()}
    for one in read_alerts(connection):
        known = alert_named(one.name)
        if known is not None and known.severity is Severity.PAGE and one.name not in of_processes:
            yield f"{one.name} at {one.place}"


def forget_process(engine: Engine, name: str, limits: Limits, by: tuple[str, str] | None) -> list[Judged]:
    """Forget a process that is gone for good, for example because its machine was removed.

    If it is the last of its role, and ended in order, then the whole role: none is expected any more.

    Args:
        engine: of the warehouse.
        name: as ``hub status`` shows it.
        limits: after how long a process counts as gone.
        by: who and why; None: only return what would be forgotten.

    Raises:
        ConfigError: there is no such process, or it is not gone.
    """
    with translated_errors("forgetting a process"), engine.begin() as connection:
        known = read_processes(connection, limits)
        found = [one for one in known if one.beat.name == name]
        gone = [one for one in found if one.condition is Condition.GONE]
        stopped = {stop.role for stop in role_stops(known, limits) if stop.name == name}
        gone += [one for one in known if one.beat.role in stopped]
        if not gone:
            how = f"it is not gone: {found[0].condition.value}" if found else "no such process; `hub status` names them"
            raise ConfigError([f"{name}: {how}"])
        if by is not None:
            actor, purpose = by
            note(connection, Action(actor, FORGET, purpose, detail={"process": name}))
            for one in gone:
                forget_beat(connection, one.beat.role, one.beat.name)
    return gone
