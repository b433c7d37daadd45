"""What was prepared before the partitions were placed anew counts for nothing: it stops nothing, is never committed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from hub.config import Settings
from hub.intake.intake import Intake
from hub.intake.prepare import Preparer
from hub.model.policies.breaker_limits import BreakerLimits
from hub.reconcile.store import WarehouseStore
from hub.warehouse.batch import Batch
from hub.warehouse.stops import read_stops
from tests.conftest import RunningEngine
from tests.support.event_set import EventSet, pin_of
from tests.support.running_intake import Ground

pytestmark = pytest.mark.engine

_numbers = iter(range(40_000, 49_000))


@pytest.fixture(scope="module")
def ground(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = Settings(
        kafka_bootstrap=engine.bootstrap,
        database_url=engine.create_database("generations"),
        key_secret=engine.key_secret,
        data_dir=tmp_path_factory.mktemp("generations"),
    )
    ground = Ground(settings, "test.generations")
    ground.limits = BreakerLimits(run=5, window=100, share=0.5)
    yield ground
    ground.database.dispose()
    engine.engine.drop_database("generations")


def send(ground: Ground, count: int) -> None:
    events = EventSet(ground.secret, seed=19)
    producer = KafkaProducer(bootstrap_servers=ground.bootstrap)
    for _ in range(count):
        fields = events.fields("dancu", 1, pin=pin_of(next(_numbers)), full_name="Người Nào")
        record = events.record("citizen.changed", fields)
        producer.send(record.topic, key=record.key, value=record.value, partition=0)
    producer.flush()
    producer.close()


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Have the partitions taken away while the first batch is prepared; return that batch, once there is one."""
    intakes: list[Intake] = []
    batches: list[Batch] = []
    run: Callable[..., Any] = Intake.run
    prepare: Callable[..., Batch] = Preparer.prepare

    async def running(intake: Intake) -> None:
        intakes.append(intake)
        await run(intake)

    def preparing(preparer: Preparer, polled: list[Any]) -> Batch:
        batch = prepare(preparer, polled)
        if batch.consumed and not batches:
            batches.append(batch)
            intakes[0]._new_generation()
        return batch

    monkeypatch.setattr(Intake, "run", running)
    monkeypatch.setattr(Preparer, "prepare", preparing)
    return batches


def test_batch_of_an_older_generation_is_not_committed(
    ground: Ground, stale: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit: Callable[..., Any] = WarehouseStore.commit
    committed: list[Batch] = []

    def committing(store: WarehouseStore, batch: Batch) -> Any:
        committed.append(batch)
        return commit(store, batch)

    monkeypatch.setattr(WarehouseStore, "commit", committing)
    send(ground, 3)
    ground.consume()
    assert len(stale) == 1
    assert [batch for batch in committed if batch is stale[0]] == []
    assert sum(batch.consumed for batch in committed) == 3
    assert all(row.balanced for row in ground.ledger())


def test_storm_in_a_batch_of_an_older_generation_stops_nothing(
    ground: Ground, stale: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    preparing: Callable[..., Batch] = Preparer.prepare
    calls: list[int] = []

    def misread(preparer: Preparer, polled: list[Any]) -> Batch:
        """Read the first batch as nothing but poison, as a worker with an older schema would."""
        if any(part.offsets for part in polled):
            calls.append(1)
            if len(calls) == 1:
                for part in polled:
                    part.values[:] = [(value or b"")[:-4] for value in part.values]
        return preparing(preparer, polled)

    monkeypatch.setattr(Preparer, "prepare", misread)
    send(ground, 8)
    assert ground.consume().stopped == {}
    with ground.database.connect() as connection:
        assert read_stops(connection) == []
    assert stale[0].dead_letters.height == 8
    assert ground.rows("SELECT count(*) FROM dead_letter") == [(0,)]
