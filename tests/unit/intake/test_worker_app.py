"""The worker's app: what it hosts and what its health page says."""

import time
from pathlib import Path
from typing import cast

import pytest

from hub.intake.chore_runs import NoChoreNotes
from hub.intake.intake import Intake
from hub.intake.status import Errand, IntakeStatus, Waiting
from hub.worker.app import AppOptions, build_app, health


class Standing:
    """An intake that does not run."""

    def __init__(self) -> None:
        self.status = IntakeStatus()
        self.on_committed = None
        self.chore_notes = NoChoreNotes()


def test_health_counts_while_the_intake_flows() -> None:
    intake = Standing()
    intake.status.consumed, intake.status.batches, intake.status.partitions = 5, 2, 4
    shown = health(cast(Intake, intake))
    assert (shown["healthy"], shown["consumed"], shown["batches"], shown["partitions"]) == (True, 5, 2, 4)
    assert shown["waiting_for"] is None


def test_health_says_what_it_has_waited_for_longest() -> None:
    intake = Standing()
    intake.status.waiting[Errand.COMMIT, 0] = Waiting("PostgreSQL went away", time.time() - 30)
    intake.status.waiting[Errand.WATCH, 0] = Waiting("the log does not answer", time.time() - 3)
    shown = health(cast(Intake, intake))
    assert shown["healthy"] is False
    assert shown["waiting_for"] == "PostgreSQL went away"
    assert shown["waiting_s"] == pytest.approx(30, abs=2)


def test_app_hosts_the_intake_and_is_told_of_committed_batches(tmp_path: Path) -> None:
    intake = Standing()
    app = build_app(AppOptions("one:1,two:2", tmp_path, 0, 10.0), cast(Intake, intake))
    assert [str(url) for url in app.conf.broker] == ["kafka://one:1", "kafka://two:2"]
    assert app.conf.web_bind == "127.0.0.1"
    assert intake.on_committed is not None
