"""Two workers at one key at once, from two partitions, end where they would have ended one after the other (I4)."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Connection, event

from hub.model.errors import RetryableError
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.warehouse.batch import Accepted, Advance, Batch
from tests.support.merge_world import POLICY, SUBJECT, TOPIC, Said, World, key_of

_TRIES = 5
_HOLD_S = 0.3
Case = tuple[list[Said], list[Said], list[Said]]
"""What is stored before, and what each of two workers commits."""

CASES: dict[str, Case] = {
    "new key, new key": ([], [Said(1, "population", 1)], [Said(1, "province_a", 1, full_name="B")]),
    "new key, same source": ([], [Said(1, "population", 2)], [Said(1, "population", 1, full_name="B")]),
    "update, insert of a rival": (
        [Said(1, "province_a", 1)],
        [Said(1, "province_a", 2, full_name="B")],
        [Said(1, "population", 1, full_name="C")],
    ),
    "update, insert of a weaker rival": (
        [Said(1, "population", 1)],
        [Said(1, "population", 2, full_name="B")],
        [Said(1, "province_a", 1)],
    ),
    "update of both, contested": (
        [Said(1, "population", 1), Said(1, "province_a", 1, full_name="B")],
        [Said(1, "population", 2, full_name="C")],
        [Said(1, "province_a", 2, full_name="D")],
    ),
    "one takes back, the other agrees": (
        [Said(1, "population", 1), Said(1, "province_a", 1, full_name="B")],
        [Said(1, "population", 2, operation="REVOKE")],
        [Said(1, "province_a", 2, full_name="A")],
    ),
    "the only one takes back, a rival comes": (
        [Said(1, "population", 1)],
        [Said(1, "population", 2, operation="REVOKE")],
        [Said(1, "province_a", 1, full_name="B")],
    ),
    "both take back": (
        [Said(1, "population", 1), Said(1, "province_a", 1)],
        [Said(1, "population", 2, operation="REVOKE")],
        [Said(1, "province_a", 2, operation="REVOKE")],
    ),
    "two keys crossed": (
        [Said(1, "province_a", 1), Said(2, "province_b", 1)],
        [Said(1, "province_a", 2, full_name="B"), Said(2, "population", 1)],
        [Said(1, "population", 1), Said(2, "province_b", 2, full_name="C")],
    ),
}


def _state(world: World) -> dict[str, list[Any]]:
    queries = {
        "claims": "SELECT key, source, source_version, full_name FROM citizen_person_claim ORDER BY 1, 2",
        "records": "SELECT key, source FROM citizen_person_record ORDER BY 1",
        "conflicts": "SELECT key, field, source, held_by FROM conflict WHERE closed_at IS NULL ORDER BY 1, 2, 3",
    }
    return {name: [tuple(row) for row in world.rows(query)] for name, query in queries.items()}


def _batch(world: World, said: Sequence[Said], partition: int) -> Batch:
    frame = world.frame(SUBJECT, [one.fields() for one in said], [key_of(one.key) for one in said], partition)
    first = world.places[partition]
    advance = Advance(world.logs[partition], TOPIC, partition, first, first + len(said), len(said))
    return Batch((advance,), (Accepted(SUBJECT, frame),))


@contextmanager
def meeting(world: World, after: str) -> Iterator[None]:
    """Make two workers meet after a statement: each has run it, or waits for the other's lock, before one goes on."""
    together = threading.Barrier(2)
    met = threading.local()

    def wait(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if after in statement and not getattr(met, "done", False):
            met.done = True
            with suppress(threading.BrokenBarrierError):
                together.wait(_HOLD_S)

    event.listen(world.engine, "after_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(world.engine, "after_cursor_execute", wait)


def _commit_at_once(world: World, one: Sequence[Said], other: Sequence[Said]) -> None:
    """Commit two batches in two threads; what loses a deadlock tries again, as a worker does."""
    errors: list[BaseException] = []

    def work(said: Sequence[Said], partition: int) -> None:
        batch = _batch(world, said, partition)
        store = WarehouseStore(world.engine, Stamp(f"worker {partition}", POLICY.digest))
        for _ in range(_TRIES):
            try:
                store.commit(batch)
            except RetryableError:
                continue
            except BaseException as error:  # noqa: BLE001 - shown by the test
                errors.append(error)
            return
        errors.append(AssertionError("never got through"))

    threads = [threading.Thread(target=work, args=item) for item in ((one, 1), (other, 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("after", ["INSERT INTO citizen_person_merged", "INSERT INTO batch", "INSERT INTO conflict"])
@pytest.mark.parametrize("case", CASES)
def test_i4_two_workers_at_once_end_as_one_after_the_other(world: World, case: str, after: str) -> None:
    before, one, other = CASES[case]
    serial = []
    for pair in ((one, other), (other, one)):
        world.clear()
        world.commit(before) if before else None
        for partition, said in enumerate(pair, 1):
            world.commit(said, partition)
        serial.append(_state(world))
    assert serial[0] == serial[1]
    world.clear()
    world.commit(before) if before else None
    with meeting(world, after):
        _commit_at_once(world, one, other)
    assert _state(world) == serial[0]
    assert len(world.outcomes()) == len(before) + len(one) + len(other)
