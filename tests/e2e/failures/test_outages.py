"""Servers that go away in the middle: the worker waits, says so, goes on, and nothing becomes a dead letter."""

import pytest

from hub.model.outcomes import Outcome
from tests.e2e.grounds import Field
from tests.e2e.hub_process import WorkerProcess, wait_until
from tests.support.event_set import send

pytestmark = pytest.mark.engine

REPEATED = 200
SMALL_BATCHES = {"HUB_BATCH_ROWS": "50"}


def _wait_for_health(worker: WorkerProcess, status: int) -> None:
    wait_until(lambda: worker.health() == status, lambda: f"{worker.page('/health')}\n{worker.output()[-3000:]}")


def test_worker_waits_for_postgres_that_crashed_and_goes_on(field: Field, undisturbed: Field) -> None:
    worker = field.worker(**SMALL_BATCHES)
    field.wait_for(300)
    field.grounds.engine.stop_postgres(immediate=True)
    try:
        _wait_for_health(worker, 503)
        assert "PostgreSQL" in worker.page("/health")[1]["waiting_for"]
    finally:
        field.grounds.engine.start_postgres()
    _wait_for_health(worker, 200)
    for one in (field, undisturbed):
        one.database.dispose()
    interrupted_at = field.consumed()
    field.wait_for_all()
    assert worker.is_alive()
    assert interrupted_at < field.consumed()
    assert field.problems() == []
    assert field.differences(undisturbed) == []
    assert field.dead_letters() == undisturbed.dead_letters()


def test_i3_repeats_after_kafka_crashed_leave_the_state_as_it_was(field: Field, undisturbed: Field) -> None:
    grounds = field.grounds
    worker = field.worker(**SMALL_BATCHES)
    field.wait_for(300)
    grounds.engine.stop_kafka(kill=True)
    late = None
    try:
        _wait_for_health(worker, 503)
        assert "Kafka" in worker.page("/health")[1]["waiting_for"]
        late = field.worker(**SMALL_BATCHES)
        wait_until(lambda: late.output().count("no Kafka broker answers"), late.output)
    finally:
        grounds.engine.start_kafka()
    _wait_for_health(worker, 200)
    before = grounds.log_length()
    send(grounds.bootstrap, list(grounds.records[:REPEATED]))
    assert grounds.log_length() == before + REPEATED
    field.wait_for_all()
    assert worker.is_alive()
    assert late.is_alive()
    assert field.problems() == []
    assert field.differences(undisturbed) == []
    assert field.dead_letters() == undisturbed.dead_letters()
    repeats = field.rows(
        "SELECT coalesce(became.outcome, a.outcome), count(*) FROM audit a "
        "LEFT JOIN release became USING (log, log_offset) "
        "WHERE EXISTS (SELECT FROM audit b WHERE b.log = a.log "
        "AND b.event_id = a.event_id AND b.log_offset < a.log_offset) "
        f"GROUP BY 1 HAVING count(*) > {REPEATED // 10}"
    )
    assert {outcome for outcome, _ in repeats} == {Outcome.DUPLICATE.value, Outcome.STALE.value}
