"""Why a partition stops again although an operator accepted poison records: the words say how many to accept."""

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from hub.intake.faults.storms import NoStops, Storms
from hub.model.policies.breaker_limits import DEFAULT_LIMITS
from hub.warehouse.offsets import Position
from hub.warehouse.stops import Past

PARTITION = ("hub.citizen.changed.v1", 0)


class Kept(NoStops):
    """One partition, of which somebody accepted so many poison records."""

    def __init__(self, accepted: int) -> None:
        self._accepted = accepted

    def pasts(self, positions: Any) -> dict[tuple[str, int], Past]:
        """Return what breakers must know."""
        return {PARTITION: Past(None, (), self._accepted)}


@pytest.mark.parametrize(
    ("accepted", "poison", "says"), [(0, 284, None), (120, 284, "at least 284 wait"), (284, 284, "")]
)
def test_stop_after_too_few_were_accepted_says_how_many_wait(accepted: int, poison: int, says: str | None) -> None:
    storms = Storms(Kept(accepted))
    position = Position(1, *PARTITION, 0, 152)
    storms.begin({PARTITION: position})
    letters = pl.DataFrame(
        {"log": [1] * poison, "log_offset": list(range(152, 152 + poison)), "reason": ["BAD"] * poison}
    )
    part: Any = SimpleNamespace(
        topic=PARTITION[0], partition=0, log=1, offsets=letters["log_offset"].to_list(), expected=152
    )
    batch: Any = SimpleNamespace(dead_letters=letters)
    whys = [stop.why for stop in storms.look([part], batch)]
    run = f"{DEFAULT_LIMITS.run} poison records in a row"
    assert whys == (
        []
        if says == ""
        else [run]
        if says is None
        else [f"{run}, not counting the 120 that were accepted; {says}: accept so many or more"]
    )
