"""The last worker or share ended in order, and none was started: that is missed, too."""

from datetime import timedelta

from hub.model.processes import Beat, Role, judged
from hub.model.role_stops import role_stops
from tests.unit.model.test_processes import LIMITS, NOW, beat


def stopped(*beats: Beat) -> list[str]:
    return [str(one) for one in role_stops(judged(beats, NOW, LIMITS), LIMITS)]


def ended(name: str, seconds_ago: float, role: Role = Role.WORKER) -> Beat:
    return beat(name, role, silent=seconds_ago, ended_at=NOW - timedelta(seconds=seconds_ago))


def test_role_without_a_process_is_missed_after_the_time_that_a_process_may_be_silent() -> None:
    assert stopped(ended("a", 19)) == []
    said = "no worker runs since 2026-03-02 01:59:39 UTC: the last one, a, ended in order"
    assert stopped(ended("b", 300), ended("a", 21)) == [said]
    assert stopped(ended("a", 21, Role.SHARE))[0].startswith("no share runs since")


def test_role_of_which_none_ever_ran_or_one_runs_or_is_gone_is_not_named() -> None:
    assert stopped() == []
    assert stopped(beat("thu", Role.CONNECTOR, silent=500, ended_at=NOW)) == []
    assert stopped(ended("a", 300), beat("b")) == []
    assert stopped(ended("a", 300), beat("b", silent=100)) == []
    assert stopped(ended("a", 300), beat("s", Role.SHARE)) != []
