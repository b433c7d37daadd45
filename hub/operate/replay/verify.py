"""Rebuild the whole warehouse from the first event and compare it with the live one, row for row."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select, tuple_

from hub.operate.actions import Action
from hub.operate.replay.failures import failures_marked
from hub.operate.replay.filters import Filters
from hub.operate.replay.ground import Ground
from hub.operate.replay.pipeline import Progress
from hub.operate.replay.plan import live_places, plan_replay
from hub.operate.replay.rate import RateCap
from hub.operate.replay.run import catch_up, checked, drop_replay, run_replay
from hub.operate.replay.store import hold_replay
from hub.warehouse.database import translated_errors
from hub.warehouse.fingerprint import differences, warehouse_state
from hub.warehouse.tables.core import log_partition, parked
from hub.warehouse.tables.kinds import of_shadow

VERIFY = "replay.verify"
_TRIES = 3
_BETWEEN_S = 2.0
"""Seconds between two looks: the rebuilt warehouse may have released what the live worker is just about to release."""
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Verified:
    """What a rebuild found.

    Fields:
        id: of the replay, whose shadow is gone.
        events: events read.
        seconds: from the first to the last of them.
        rows: rows compared, by table.
        differing: rows that only one of the two has, named; empty if they are equal.
    """

    id: int
    events: int
    seconds: float
    rows: dict[str, int]
    differing: tuple[str, ...]


def verify(ground: Ground, by: Action, watch: Callable[[Progress], None], cap: int | None = None) -> Verified:
    """Rebuild, compare, drop the rebuilt warehouse; the live one goes on meanwhile and is compared at one moment.

    Raises:
        ConfigError: no policy is in force, or no event was consumed.
        LostRangeError: the log does not hold everything that the hub ever consumed.
    """
    planned = plan_replay(ground.live, Filters(), False, by)
    try:
        ran = run_replay(ground, planned.id, by, watch, cap)
        read, seconds = ran.read, ran.seconds
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_BETWEEN_S)
            with failures_marked(ground.live, planned.id):
                more, rows, differing = _compare(ground, planned.id, watch)
            read += more
            if not differing:
                break
    finally:
        drop_replay(ground, planned.id, by)
    return Verified(planned.id, read, seconds, rows, tuple(differing))


def _compare(ground: Ground, number: int, watch: Callable[[Progress], None]) -> tuple[int, dict[str, int], list[str]]:
    """Bring the rebuilt warehouse to the point of one snapshot of the live one, and compare the two."""
    of = checked(ground.live, number)
    with (
        hold_replay(ground.live, number),
        translated_errors("comparing warehouses"),
        ground.live.connect().execution_options(isolation_level="REPEATABLE READ") as live,
        live.begin(),
    ):
        ends = {place.log: place.next_offset for place in live_places(live)}
        ran = catch_up(ground, of, watch, RateCap(None), ends)
        with ground.shadow(of.shadow) as engine, engine.connect() as shadow:
            rows = {name: state.rows for name, state in warehouse_state(live).items()}
            found = [*differences(live, shadow, _MOST_NAMED), *_waiting_apart(live, of.shadow)]
    return ran.read, rows, found


def _waiting_apart(live: Connection, shadow: str) -> list[str]:
    """Name records that wait in one of the two and not in the other."""
    mine = of_shadow(parked, shadow)
    found = []
    for where, here, there in (("live", parked, mine), ("rebuilt", mine, parked)):
        place = tuple_(here.c.log, here.c.log_offset)
        rows = live.execute(
            select(log_partition.c.topic, log_partition.c.partition, here.c.log_offset)
            .join(log_partition, log_partition.c.id == here.c.log)
            .where(place.not_in(select(there.c.log, there.c.log_offset)))
            .order_by(here.c.log, here.c.log_offset)
            .limit(_MOST_NAMED)
        )
        found += [f"parked only in the {where} one: {row.topic}/{row.partition}/{row.log_offset}" for row in rows]
    return found
