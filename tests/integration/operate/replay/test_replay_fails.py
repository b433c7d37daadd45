"""A bug ends a replay: it is marked failed with where in the code, nothing is half done, and it can be run again."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from hub.cli.replay.view import print_replay, replay_table
from hub.intake.decode.decoder import GuardedDecoder
from hub.model.errors import LostRangeError
from hub.model.replay_state import ReplayState
from hub.operate.replay import switch, verify
from hub.operate.replay.failures import ReplayFailedError
from hub.operate.replay.filters import Filters
from hub.operate.replay.shadow import create
from hub.operate.replay.store import Replay, places_of, replay_numbered
from hub.operate.replay.store import replays as listed
from tests.conftest import RunningEngine
from tests.support.replay_world import ReplayWorld, by, open_replay_world, unwatched

pytestmark = pytest.mark.engine
ODD = "Nguyễn Thị Lẻ"


@pytest.fixture(scope="module")
def module_replays(engine: RunningEngine, decoder: GuardedDecoder) -> Iterator[ReplayWorld]:
    name = f"replay_{uuid.uuid4().hex[:12]}"
    made = open_replay_world(engine.create_database(name), decoder)
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


@pytest.fixture
def replays(module_replays: ReplayWorld) -> ReplayWorld:
    module_replays.fill(people=6)
    return module_replays


def found(replays: ReplayWorld, number: int) -> Replay:
    with replays.engine.connect() as connection:
        return replay_numbered(connection, number)


def breaks(*_: Any, **__: Any) -> Any:
    """Stand for a step with a bug, whose words hold a name."""
    raise KeyError(ODD)


def check_failed(replays: ReplayWorld, error: ReplayFailedError, number: int, state: ReplayState) -> None:
    """The replay is marked, says where and no value, and the live warehouse is as it was."""
    one = found(replays, number)
    assert (one.state, one.failed_at is not None) == (state, True)
    assert one.failure is not None
    assert one.failure.startswith("KeyError; at tests/integration/operate/replay/test_replay_fails.py")
    assert one.failure in error.message
    assert f"hub replay show {number}" in error.message
    assert ODD not in error.message + one.failure
    shown = Console(width=200, record=True)
    shown.print(replay_table([one]))
    with replays.engine.connect() as connection:
        print_replay(shown, one, places_of(connection, number), False, 0)
        assert any(other.failure for other in listed(connection))
    said = shown.export_text()
    assert f"{state.value}, failed" in said
    assert one.failure in " ".join(said.split())
    assert one.as_json()["failed_at"] == one.failed_at.isoformat() if one.failed_at else None


def test_bug_while_events_are_read_marks_the_replay_and_the_next_run_goes_on(
    replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replays.state()
    number = replays.plan(Filters()).id
    with monkeypatch.context() as patched:
        patched.setattr("hub.intake.prepare.Preparer.prepare", breaks)
        with pytest.raises(ReplayFailedError) as ended:
            replays.run(number)
    check_failed(replays, ended.value, number, ReplayState.RUNNING)
    assert replays.state() == before
    assert replays.run(number).state is ReplayState.READY
    assert (found(replays, number).failure, found(replays, number).failed_at) == (None, None)
    assert replays.differences(f"replay_{number}") == []


def test_bug_while_the_shadow_is_made_marks_the_replay_and_the_next_run_makes_it_again(
    replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = replays.plan(Filters(sources=("namdinh.motcua",))).id
    with monkeypatch.context() as patched:
        patched.setattr(create, "withdraw_scope", breaks)
        with pytest.raises(ReplayFailedError) as ended:
            replays.run(number)
    check_failed(replays, ended.value, number, ReplayState.FILLING)
    assert replays.run(number).state is ReplayState.READY
    assert found(replays, number).failure is None


def test_bug_while_a_replay_goes_live_leaves_all_tables_where_they_were(
    replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replays.state()
    number = replays.plan(Filters(sources=("namdinh.motcua",))).id
    replays.run(number)
    ready = replays.state(f"replay_{number}")
    for place, state, change in (
        ("grant_roles", ReplayState.READY, switch.switch),
        ("note", ReplayState.READY, switch.switch),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(switch, place, breaks)
            with pytest.raises(ReplayFailedError) as ended:
                change(replays.ground, number, by("replay.switch"), unwatched)
        check_failed(replays, ended.value, number, state)
        assert replays.state() == before
        assert replays.state(f"replay_{number}") == ready
    assert switch.switch(replays.ground, number, by("replay.switch"), unwatched).state is ReplayState.SWITCHED
    assert found(replays, number).failure is None
    with monkeypatch.context() as patched:
        patched.setattr(switch, "grant_roles", breaks)
        with pytest.raises(ReplayFailedError) as ended:
            switch.undo(replays.ground, number, by("replay.undo"), unwatched)
    check_failed(replays, ended.value, number, ReplayState.SWITCHED)
    assert replays.state() == ready
    assert switch.undo(replays.ground, number, by("replay.undo"), unwatched).state is ReplayState.UNDONE
    assert replays.state() == before


def test_range_that_the_log_lost_is_kept_as_the_reason(replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Any:
        raise LostRangeError("hub.citizen.changed.v1/0: the log begins at 5")

    number = replays.plan(Filters()).id
    monkeypatch.setattr("hub.intake.prepare.Preparer.prepare", lost)
    with pytest.raises(LostRangeError):
        replays.run(number)
    assert found(replays, number).failure == "LOST_RANGE: hub.citizen.changed.v1/0: the log begins at 5"


def test_bug_while_two_warehouses_are_compared_is_kept_with_the_replay_and_its_shadow_is_gone(
    replays: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "differences", breaks)
    with pytest.raises(ReplayFailedError) as ended:
        verify.verify(replays.ground, by("replay.verify"), unwatched)
    with replays.engine.connect() as connection:
        number = max(one.id for one in listed(connection))
    assert found(replays, number).state is ReplayState.DROPPED
    assert str(found(replays, number).failure) in ended.value.message
    assert replays.value(f"SELECT count(*) FROM pg_namespace WHERE nspname = 'replay_{number}'") == 0
