"""Whether workers and shares run at all: the last of them may have ended in order, and nobody started another."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.model.processes import Condition, Judged, Limits, Role

EXPECTED = (Role.WORKER, Role.SHARE)
"""The roles of which one process must run, once one has run."""


@dataclass(frozen=True, slots=True)
class RoleStop:
    """No process of a role runs; ``name`` is the last one, which ended in order at ``since``."""

    role: Role
    since: datetime
    name: str

    def __str__(self) -> str:
        since = f"{self.since:%Y-%m-%d %H:%M:%S} UTC"
        return f"no {self.role.value} runs since {since}: the last one, {self.name}, ended in order"

    def as_json(self) -> dict[str, Any]:
        """Return it as commands print it with ``--json``."""
        return {"role": self.role.value, "since": self.since.isoformat(), "last": self.name}


def role_stops(found: Iterable[Judged], limits: Limits) -> list[RoleStop]:
    """Return the roles of which every process ended in order, the last one longer ago than a process may be silent.

    A role of which no process ever ran is not expected; one of which a process is gone has that to say.
    """
    known = list(found)
    stops = []
    for role in EXPECTED:
        mine = [one for one in known if one.beat.role is role]
        if not mine or any(one.condition is not Condition.ENDED for one in mine):
            continue
        last = max(mine, key=lambda one: one.beat.beat_at)
        if last.silent_s > limits.gone_s:
            stops.append(RoleStop(role, last.beat.ended_at or last.beat.beat_at, last.beat.name))
    return stops
