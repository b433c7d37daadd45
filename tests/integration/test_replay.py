"""Replays into a shadow: whole and partial, interrupted and resumed; the live warehouse is as it was."""

import uuid
from collections.abc import Iterator

import pytest

from hub.intake.decoder import GuardedDecoder
from hub.operate.replay_filters import Filters, OffsetFilter
from hub.operate.replay_store import ReplayState
from tests.conftest import RunningEngine
from tests.replay_world import ReplayWorld, open_replay_world

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def module_replays(engine: RunningEngine, decoder: GuardedDecoder) -> Iterator[ReplayWorld]:
    name = f"replay_{uuid.uuid4().hex[:12]}"
    made = open_replay_world(engine.create_database(name), decoder)
    yield made
    made.engine.dispose()
    engine.engine.drop_database(name)


@pytest.fixture
def replays(module_replays: ReplayWorld) -> ReplayWorld:
    module_replays.fill()
    return module_replays


def test_i7_whole_rebuild_equals_the_live_warehouse_and_changes_nothing_of_it(replays: ReplayWorld) -> None:
    before = replays.state()
    offsets = replays.rows("SELECT id, next_offset, consumed FROM log_partition ORDER BY id")
    planned = replays.plan(Filters())
    assert planned.selection.is_whole
    assert planned.estimate.reads == planned.estimate.selected == replays.value("SELECT count(*) FROM audit")
    ran = replays.run(planned.id)
    assert (ran.state, ran.behind) == (ReplayState.READY, 0)
    assert (ran.read, ran.selected) == (planned.estimate.reads, planned.estimate.selected)
    assert replays.differences(f"replay_{planned.id}") == []
    assert replays.state() == before
    assert replays.rows("SELECT id, next_offset, consumed FROM log_partition ORDER BY id") == offsets


PARTIAL = {
    "source": Filters(sources=("dancu",)),
    "other source": Filters(sources=("hanam.motcua", "dvcqg")),
    "province": Filters(provinces=("H40",)),
    "person": Filters(subjects=("citizen.changed",)),
    "units": Filters(subjects=("admin_unit.changed",)),
    "dossiers": Filters(subjects=("dossier.submitted", "dossier.progressed")),
    "procedures": Filters(subjects=("procedure.changed",)),
    "homes of a source": Filters(subjects=("residence.changed",), sources=("dancu",)),
    "begin given": Filters(offsets=(OffsetFilter("citizen.changed", 0, 0, None),)),
}


@pytest.mark.parametrize("filters", PARTIAL.values(), ids=PARTIAL)
def test_partial_replay_of_all_a_scope_said_leaves_what_is_live(replays: ReplayWorld, filters: Filters) -> None:
    planned = replays.plan(filters)
    assert not planned.selection.is_whole
    replays.run(planned.id)
    assert replays.differences(f"replay_{planned.id}") == []
