"""Real workers with a bug in the merge: two end, the third goes on without the record, or without the partition."""

import sys
from collections.abc import Callable

import pytest

from tests.e2e.failures.faulty_worker import TOPIC
from tests.e2e.grounds import PARTITIONS, Field
from tests.e2e.hub_process import WorkerProcess, run_hub, wait_until

pytestmark = pytest.mark.engine

OFFSET = 7
MOST_ENDS = 2 * PARTITIONS
"""Each of the batches at which the bug shows may end two workers."""


def worker_that_stays(field: Field, *bug: str) -> WorkerProcess:
    """Start workers as a supervisor would, until one goes on beyond where the others ended."""
    for _ in range(MOST_ENDS + 1):
        worker = field.worker(sys.executable, "-m", "tests.e2e.failures.faulty_worker", *bug)
        wait_until(
            lambda worker=worker: not worker.is_alive() or is_done(field, worker),  # type: ignore[misc]
            lambda worker=worker: worker.output()[-3000:],  # type: ignore[misc]
        )
        if worker.is_alive():
            return worker
        assert worker.wait() == 1
    raise AssertionError("every worker ended")


def is_done(field: Field, worker: WorkerProcess) -> bool:
    """Tell whether the worker has read all that it may."""
    if worker.health() != 200:  # before that there may be no tables
        return False
    standing = field.rows("SELECT topic, partition FROM partition_stop WHERE resumed_at IS NULL")
    left = "SELECT count(*) FROM worker_bug b WHERE NOT EXISTS (SELECT FROM partition_stop s WHERE s.topic = b.topic)"
    return field.value(left) == 0 and (bool(standing) or field.consumed() == field.grounds.log_length())


def test_record_at_which_real_workers_end_is_a_dead_letter_and_all_others_are_merged(
    new_field: Callable[[], Field],
) -> None:
    field = new_field()
    worker = worker_that_stays(field, "record", str(OFFSET))
    field.wait_for_all()
    worker.stop()
    assert 2 <= len(field.workers) - 1 <= MOST_ENDS
    letters = field.rows("SELECT reason, log_offset, detail FROM dead_letter WHERE reason = 'WORKER_BUG'")
    assert {(reason, offset) for reason, offset, _ in letters} == {("WORKER_BUG", OFFSET)}
    assert 1 <= len(letters) <= PARTITIONS
    assert all("ZeroDivisionError at tests/e2e/failures/faulty_worker.py" in detail for _, _, detail in letters)
    assert field.rows("SELECT name FROM alert WHERE closed_at IS NULL") == []
    assert all(row.balanced for row in field.ledger())
    ended = field.workers[0].output()
    assert "ZeroDivisionError" in ended
    # what libraries say of tasks that end with the process may follow; of the bug's own lines nothing does
    assert "faulty_worker.py" not in ended.split("WORKER_BUG:")[-1].split("\n", 1)[-1]
    assert "of Người" not in "".join(one.output() for one in field.workers)


def test_bug_at_whatever_record_of_a_partition_stops_it_and_the_rest_of_the_log_flows(
    new_field: Callable[[], Field],
) -> None:
    field = new_field()
    worker = worker_that_stays(field, "partition", "0")
    at = field.value(f"SELECT next_offset FROM log_partition WHERE topic = '{TOPIC}' AND partition = 0")
    beside = f"SELECT next_offset > 0 FROM log_partition WHERE topic = '{TOPIC}' AND partition = 1"
    wait_until(lambda: field.value(beside), lambda: worker.output()[-3000:])
    listed = run_hub(field.environment(), "partitions", "list", "--json")
    assert listed.returncode == 1
    assert '"cause": "WORKER_BUG"' in listed.stdout
    assert f'"partition": "{TOPIC}/0"' in listed.stdout
    alerts = field.rows("SELECT name, place FROM alert WHERE closed_at IS NULL")
    assert ("worker_bug", f"{TOPIC}/0") in alerts
    assert field.rows("SELECT reason FROM dead_letter WHERE reason = 'WORKER_BUG'") == []
    worker.stop()

    again = field.worker(sys.executable, "-m", "tests.e2e.failures.faulty_worker", "partition", "0")
    wait_until(lambda: again.health() == 200 and again.page("/health")[1]["stopped"], lambda: again.output()[-3000:])
    assert field.value(f"SELECT next_offset FROM log_partition WHERE topic = '{TOPIC}' AND partition = 0") == at
    again.stop()

    resumed = run_hub(
        field.environment(), "partitions", "resume", f"{TOPIC}/0", "--reason", "mended", "--officer", "H42", "--execute"
    )
    assert resumed.returncode == 0, resumed.stderr
    field.worker()
    field.wait_for_all()
    assert field.rows("SELECT name FROM alert WHERE closed_at IS NULL") == []
    assert all(row.balanced for row in field.ledger())
