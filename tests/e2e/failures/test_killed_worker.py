"""Workers killed by SIGKILL at every step of a commit, and one of two: the warehouse ends as if nothing had been."""

import itertools
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from hub.topology import merged_topics
from tests.e2e.failures.killed_worker import AFTER, BEFORE, STEPS
from tests.e2e.grounds import PARTITIONS, Field
from tests.e2e.hub_process import WorkerProcess, wait_until

pytestmark = pytest.mark.engine

DEADLY_BATCH = 3
ALL_PARTITIONS = PARTITIONS * len(merged_topics())


@dataclass(frozen=True, slots=True)
class Death:
    """What was durable when a worker had died at a step."""

    step: str
    exit_code: int
    consumed: int
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Story:
    """A warehouse whose first workers all died."""

    field: Field
    deaths: list[Death]


@pytest.fixture(scope="module")
def story(new_field: Callable[[], Field]) -> Story:
    """One worker after the other, each killed at another step of its third commit; the last one comes through."""
    field = new_field()
    deaths = []
    for step in STEPS:
        worker = field.worker(sys.executable, "-m", "tests.e2e.failures.killed_worker", step, str(DEADLY_BATCH))
        deaths.append(Death(step, worker.wait(), field.consumed(), field.problems()))
    last = field.worker()
    field.wait_for_all()
    last.stop()
    return Story(field, deaths)


def test_killed_workers_died_where_they_should(story: Story) -> None:
    assert [death.exit_code for death in story.deaths] == [-signal.SIGKILL] * len(STEPS)
    consumed = [death.consumed for death in story.deaths]
    assert consumed == sorted(consumed)
    assert 0 < consumed[0] < consumed[-1] < story.field.grounds.log_length()


def test_i1_offset_and_outcomes_agree_when_worker_is_killed(story: Story) -> None:
    found = {death.step: [problem for problem in death.problems if problem.startswith("I1")] for death in story.deaths}
    assert found == {step: [] for step in STEPS}


def test_i2_batch_is_there_whole_or_not_at_all_when_worker_is_killed(story: Story) -> None:
    found = {death.step: death.problems for death in story.deaths}
    assert found == {step: [] for step in STEPS}


def test_i2_commit_counts_though_the_worker_never_heard_of_it(story: Story) -> None:
    durable = {death.step: death.consumed for death in story.deaths}
    started_at = {step: durable[before] for before, step in itertools.pairwise(STEPS)} | {BEFORE: 0}
    batches = story.field.rows("SELECT worker, count(*) FROM batch GROUP BY worker ORDER BY min(id)")
    assert [count for _, count in batches][: len(STEPS)] == [
        DEADLY_BATCH if step == AFTER else DEADLY_BATCH - 1 for step in STEPS
    ]
    assert all(durable[step] > started_at[step] for step in STEPS)


def test_killed_workers_leave_the_state_of_an_undisturbed_run(story: Story, undisturbed: Field) -> None:
    assert story.field.differences(undisturbed) == []
    assert story.field.state() == undisturbed.state()
    assert story.field.dead_letters() == undisturbed.dead_letters()


def test_i5_ledger_is_balanced_after_all_deaths(story: Story) -> None:
    assert story.field.problems() == []
    assert all(row.balanced for row in story.field.ledger())
    assert sum(row.consumed for row in story.field.ledger()) == story.field.grounds.log_length()


def test_second_worker_takes_over_when_first_is_killed(field: Field, undisturbed: Field) -> None:
    workers = [field.worker(HUB_BATCH_ROWS="50")]
    field.wait_for(1)
    with field.database.begin() as holding:
        holding.execute(text("LOCK TABLE batch IN EXCLUSIVE MODE"))
        workers.append(field.worker(HUB_BATCH_ROWS="50"))
        wait_until(lambda: 0 < _partitions_of(workers[1]) < ALL_PARTITIONS, workers[1].output)
    held_at = field.consumed()
    wait_until(
        lambda: field.value("SELECT count(DISTINCT worker) FROM batch") == 2 and field.consumed() > held_at,
        workers[1].output,
    )
    doomed, survivor = workers
    doomed.process.kill()
    doomed.wait()
    assert field.consumed() < field.grounds.log_length()
    field.wait_for_all()
    assert survivor.is_alive()
    assert field.problems() == []
    assert field.differences(undisturbed) == []
    assert field.dead_letters() == undisturbed.dead_letters()


def _partitions_of(worker: WorkerProcess) -> int:
    page = worker.page("/health")[1]
    return page["partitions"] if page else 0
