"""Parked records at which a bug shows stay parked, with what stands behind them; the others go, and no worker ends."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from hub.intake import release as module
from hub.intake.chore_runs import NoChoreNotes
from hub.intake.patience import Patience
from hub.intake.prepare import Preparer
from hub.intake.release import Release, release_loop
from hub.intake.status import IntakeStatus
from hub.model.errors import PoisonError
from hub.reconcile.parking.releasing import Releasable
from hub.warehouse.batch import Batch

TOPIC = "hub.dossier.submitted.v1"
ODD = b"Nguyen Thi Le"


def parked(offset: int, key: bytes, value: bytes = b"fine") -> Releasable:
    return Releasable(1, TOPIC, 0, offset, key, value, False)


class Warehouse:
    """Parked records that go when they are committed."""

    def __init__(self, records: list[Releasable], breaks: Callable[[list[Releasable]], BaseException | None]) -> None:
        self.records = records
        self.breaks = breaks
        self.looks = 0

    def find(self, most: int, thorough: bool) -> list[Releasable]:
        """Return what is parked."""
        self.looks += 1
        return list(self.records)

    def prepare_released(self, records: list[Releasable]) -> Batch:
        """Return the records in place of a batch."""
        if error := self.breaks(records):
            raise error
        return cast(Batch, records)

    def commit(self, batch: Any) -> None:
        """Let them go."""
        self.records = [record for record in self.records if record not in batch]


def swept(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, until: Callable[[], bool]) -> Release:
    monkeypatch.setattr(module, "SWEEP_EVERY_S", 0.0)
    release = Release(warehouse.find, warehouse.commit, 10)

    async def called(call: Callable[..., Any], *given: Any) -> Any:
        await asyncio.sleep(0)
        return call(*given)

    async def run() -> None:
        threads, patience = (called, called), Patience(IntakeStatus())
        loop = release_loop(release, cast(Preparer, warehouse), threads, patience, NoChoreNotes())
        running = asyncio.create_task(loop)
        async with asyncio.timeout(10):
            while not running.done() and not until():
                await asyncio.sleep(0)
        assert not running.done(), running.exception()
        running.cancel()

    asyncio.run(run())
    return release


@pytest.mark.parametrize("error", [KeyError(ODD), PoisonError("INVALID_VALUE", "together")])
def test_record_at_which_a_bug_shows_stays_parked_with_its_key_and_the_others_go(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    records = [parked(0, b"a"), parked(1, b"b", ODD), parked(2, b"c"), parked(3, b"b"), parked(4, b"d")]
    warehouse = Warehouse(records, lambda given: error if any(one.value == ODD for one in given) else None)
    release = swept(warehouse, monkeypatch, lambda: warehouse.looks > 3)
    assert [record.log_offset for record in warehouse.records] == [1, 3]
    assert (release.released, release.aside) == (3, {(TOPIC, b"b")})
    assert caplog.text.count(f"{TOPIC}/0/1 stays parked") == 1
    assert ODD.decode() not in caplog.text


def test_records_that_do_not_go_together_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(
        [parked(number, bytes([number])) for number in range(5)],
        lambda given: KeyError("x") if len(given) > 1 else None,
    )
    release = swept(warehouse, monkeypatch, lambda: not warehouse.records)
    assert (release.released, release.aside) == (5, set())
