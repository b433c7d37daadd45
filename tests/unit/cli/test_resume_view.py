"""What ``hub partitions resume`` lets an operator rely on."""

import pytest

from hub.cli.dead_letters.partitions import what_stops_it_again
from hub.model.policies.breaker_limits import BreakerLimits
from hub.model.stop_causes import StopCause
from hub.operate.dead_letters.partitions import ResumePlan
from hub.warehouse.stops import Stop


def plan(accepted: int, cause: StopCause = StopCause.STORM, limits: BreakerLimits | None = None) -> ResumePlan:
    stop = Stop("hub.a.v1", 0, 4, 102, "100 in a row", {}, limits or BreakerLimits(), "w", cause=cause)
    return ResumePlan(stop, 4, accepted)


@pytest.mark.parametrize(
    ("resumed", "said"),
    [
        (plan(0), "it stops again at hub.a.v1/0/102 at the latest, if that record is still poison"),
        (
            plan(120),
            "then the count begins again at zero: 100 in a row, or 200 poison records among the last 1,000 stop it",
        ),
        (
            plan(1, limits=BreakerLimits(run=0)),
            "begins again at zero: 200 poison records among the last 1,000 stop it again",
        ),
        (plan(0, StopCause.LOST_RANGE), "if the cause is still there, it stops again at the same place"),
    ],
)
def test_resume_says_when_the_partition_stops_again(resumed: ResumePlan, said: str) -> None:
    assert said in what_stops_it_again(resumed)
