"""What was removed behind the hub's back is named: by the worker's check, which counts what is new, and by a search."""

from functools import partial

import pytest
from sqlalchemy import Engine, text

from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import read_ledger
from hub.operate.ledger.search import every_loss
from hub.reconcile.ledger import check as ledger_check
from hub.reconcile.ledger import counts as ledger_counts
from hub.reconcile.ledger.accounts import shared_out
from hub.reconcile.ledger.check import LedgerCheck, LedgerTurn
from hub.warehouse.alerts import Raised, read_alerts
from hub.warehouse.locks import Lock, hold
from tests.support.merge_world import TOPIC, Said, World
from tests.support.whole_world import Whole, key_of

pytestmark = pytest.mark.engine


def _execute(world: World | Whole, statement: str) -> None:
    with world.engine.begin() as connection:
        connection.execute(text(statement))


def check_ledger(engine: Engine, look_for_s: float = 1.0) -> LedgerTurn | None:
    """Do a turn that looks again whatever it takes."""
    return LedgerCheck(engine, look_for_s).turn()


def _alerts(world: World | Whole) -> list[Raised]:
    with world.engine.connect() as connection:
        return read_alerts(connection)


def _people(first: int, count: int) -> list[Said]:
    return [Said(number, "population", 1) for number in range(first, first + count)]


def _said(world: World) -> str:
    """What the open alert says after a turn of the check, and that the search names the same places."""
    assert check_ledger(world.engine) is not None
    (alert,) = _alerts(world)
    assert alert.name == "unbalanced"
    searched = "; ".join(str(loss) for loss in every_loss(world.engine))
    assert searched == alert.detail
    assert alert.place == f"{TOPIC}/0"
    return alert.detail


def test_i5_audit_row_removed_after_it_was_counted_is_named_and_the_alert_closes_when_it_is_back(world: World) -> None:
    world.commit(_people(1, 4))
    checked = check_ledger(world.engine)
    assert checked is not None
    assert (checked.counted, checked.looked_at, checked.losses) == (4, 1, ())
    _execute(world, "CREATE TABLE kept AS SELECT * FROM audit WHERE log_offset = 2")
    _execute(world, "DELETE FROM audit WHERE log_offset = 2")
    try:
        assert _said(world) == f"no audit row: {TOPIC}/0/2"
        world.commit(_people(5, 2), partition=1)
        assert _said(world) == f"no audit row: {TOPIC}/0/2"
        _execute(world, "INSERT INTO audit SELECT * FROM kept")
    finally:
        _execute(world, "DROP TABLE kept")
    checked = check_ledger(world.engine)
    assert checked is not None
    assert checked.losses == ()
    assert _alerts(world) == []


def test_i5_offsets_moved_without_audit_rows_are_named(world: World) -> None:
    world.commit(_people(1, 3))
    assert check_ledger(world.engine) is not None
    _execute(world, f"UPDATE log_partition SET next_offset = 6, consumed = 6 WHERE id = {world.logs[0]}")
    assert _said(world) == f"no audit row: {TOPIC}/0/3-5"


def test_i5_audit_row_of_a_record_that_was_not_consumed_is_named(world: World) -> None:
    world.commit(_people(1, 3))
    world.commit(_people(4, 2), partition=1)
    assert check_ledger(world.engine) is not None
    _execute(world, f"UPDATE log_partition SET next_offset = 2, consumed = 2 WHERE id = {world.logs[0]}")
    assert _said(world) == f"an audit row of a record that was not consumed: {TOPIC}/0/2"


def test_i5_claim_and_record_removed_behind_the_hubs_back_are_named(world: World) -> None:
    world.commit([*_people(1, 3), Said(3, "province_b", 1, full_name="B")])
    keys = world.rows("SELECT key FROM citizen_person_claim ORDER BY key, source")
    _execute(world, f"DELETE FROM citizen_person_record WHERE key = '{keys[0].key}'")
    assert _said(world) == f"no record of an event that was written: {TOPIC}/0/0"
    _execute(world, f"DELETE FROM citizen_person_claim WHERE key = '{keys[0].key}'")
    assert _said(world) == f"no claim of an event that was written: {TOPIC}/0/0"
    _execute(world, f"DELETE FROM citizen_person_claim WHERE key = '{keys[1].key}'")
    said = _said(world)
    assert f"no claim of an event that was written: {TOPIC}/0/1" in said
    assert f"no record of an event that was written: {TOPIC}/0/1" in said


def test_gap_of_a_transaction_marker_is_no_loss_and_a_loss_beside_it_is_told_from_it_by_number(world: World) -> None:
    world.commit(_people(1, 2))
    world.places[0] = 4
    _execute(world, f"UPDATE log_partition SET next_offset = 4 WHERE id = {world.logs[0]}")
    world.commit(_people(3, 2))
    checked = check_ledger(world.engine)
    assert checked is not None
    assert checked.losses == ()
    _execute(world, "DELETE FROM audit WHERE log_offset = 5")
    said = _said(world)
    assert f"{TOPIC}/0/5" in said
    assert "1 of 3 offsets that have none" in said


def test_check_counts_only_what_is_new_and_looks_at_every_stretch_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_check, "OFFSETS_PER_STRETCH", 4)
    monkeypatch.setattr(ledger_check, "outcomes_by_stretch", partial(ledger_counts.outcomes_by_stretch, 4))
    monkeypatch.setattr(ledger_check, "shared_out", partial(shared_out, size=4))
    world.commit(_people(1, 10))
    counted = [check_ledger(world.engine, 0.0)]
    world.commit(_people(11, 1))
    counted += [check_ledger(world.engine, 0.0) for _ in range(3)]
    assert [(turn.counted, turn.looked_at) for turn in counted if turn] == [(10, 1), (1, 1), (0, 1), (0, 1)]
    stretches = world.rows("SELECT stretch, end_offset, consumed, outcomes FROM ledger_range ORDER BY 1")
    assert [tuple(row) for row in stretches] == [
        (0, 4, 4, {"applied": 4}),
        (1, 8, 4, {"applied": 4}),
        (2, 11, 3, {"applied": 3}),
    ]
    with world.engine.connect() as connection:
        assert read_ledger(connection, exact=False) == read_ledger(connection)
    world.commit([Said(1, "population", 1)])
    with world.engine.connect() as connection:
        (row,) = [row for row in read_ledger(connection, exact=False) if row.partition == 0]
    assert (row.outcomes[Outcome.APPLIED], row.outcomes[Outcome.DUPLICATE], row.balanced) == (11, 1, True)
    _execute(world, "DELETE FROM audit WHERE log_offset = 5")
    turns = [check_ledger(world.engine, 0.0) for _ in range(3)]
    assert next(loss.place for turn in turns if turn for loss in turn.losses) == f"{TOPIC}/0/5"


def test_one_worker_checks_at_a_time_and_another_warehouse_is_counted_anew(world: World) -> None:
    world.commit(_people(1, 3))
    with world.engine.begin() as connection:
        hold(connection, Lock.LEDGER_CHECK)
        assert check_ledger(world.engine) is None
    assert check_ledger(world.engine) is not None
    _execute(world, "UPDATE ledger_range SET end_offset = 100, consumed = 100")
    checked = check_ledger(world.engine)
    assert checked is not None
    assert (checked.counted, checked.losses) == (3, ())


def test_i5_parked_record_and_dead_letter_that_are_gone_are_named(whole: Whole) -> None:
    late = {"source_system": "tinh", "dossier_code": "H42-1", "procedure_code": "9.999999"}
    whole.send("dossier.submitted", late)
    whole.send("citizen.changed", {"source_system": "dancu", "pin": "001299000123", "source_epoch": -1})
    assert whole.outcomes("dossier.submitted") == ["parked"]
    assert whole.outcomes("citizen.changed") == ["dead_lettered"]
    checked = check_ledger(whole.engine)
    assert checked is not None
    assert checked.losses == ()
    _execute(whole, "DELETE FROM parked")
    _execute(whole, "DELETE FROM dead_letter")
    said = sorted(str(loss) for loss in every_loss(whole.engine))
    assert said == [
        "dead-lettered, and its bytes are not kept: hub.citizen.changed.v1/0/0",
        "parked, and neither waiting nor released: hub.dossier.submitted.v1/0/0",
    ]
    assert check_ledger(whole.engine) is not None
    assert len(_alerts(whole)) == 2


def test_released_record_whose_claim_is_gone_is_named(whole: Whole) -> None:
    whole.send("dossier.submitted", {"source_system": "tinh", "dossier_code": "H42-1", "procedure_code": "1.001193"})
    whole.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": "1.001193"})
    assert whole.release() == 1
    assert every_loss(whole.engine) == []
    _execute(whole, f"DELETE FROM dossier_submission_claim WHERE key = '{key_of('dossier.submitted', 'H42-1')}'")
    assert [loss.place for loss in every_loss(whole.engine)] == ["hub.dossier.submitted.v1/0/0"] * 2


def test_i5_month_that_was_retired_is_accounted_for_by_its_counts(world: World) -> None:
    world.commit(_people(1, 5))
    assert check_ledger(world.engine) is not None
    _execute(world, "DELETE FROM audit WHERE log_offset < 3")
    _execute(
        world,
        "INSERT INTO retired (relation, month, log, first_place, end_place, outcome, records) "
        f"VALUES ('audit', '2024-01-01', {world.logs[0]}, 0, 3, 'applied', 3)",
    )
    for checked in (check_ledger(world.engine), check_ledger(world.engine)):
        assert checked is not None
        assert checked.losses == ()
    assert every_loss(world.engine) == []
    with world.engine.connect() as connection:
        for exact in (True, False):
            (row,) = [row for row in read_ledger(connection, exact) if row.partition == 0]
            assert (row.outcomes[Outcome.APPLIED], row.balanced) == (5, True)
