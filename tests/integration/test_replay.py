"""Replays into a shadow: whole and partial, interrupted and resumed; the live warehouse is as it was."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from hub.codec.decode import MASK
from hub.intake.decoder import GuardedDecoder
from hub.operate.replay_diff import diff
from hub.operate.replay_filters import Filters, OffsetFilter
from hub.operate.replay_store import ReplayState
from tests.conftest import RunningEngine
from tests.event_set import FIRST_DAY, pin_of
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
    "province and central source": Filters(sources=("hanam.motcua", "dvcqg")),
    "province": Filters(provinces=("H40",)),
    "units": Filters(subjects=("admin_unit.changed",)),
    "dossiers": Filters(subjects=("dossier.submitted", "dossier.progressed")),
    "offsets that leave nothing out": Filters(offsets=(OffsetFilter("citizen.changed", 0, 0, None),)),
}


def test_i7_partial_replay_of_all_a_scope_said_leaves_what_is_live(replays: ReplayWorld) -> None:
    for name, filters in PARTIAL.items():
        planned = replays.plan(filters)
        assert not planned.selection.is_whole, name
        replays.run(planned.id)
        assert replays.differences(f"replay_{planned.id}") == [], name
        assert diff(replays.ground, planned.id).tables == (), name


def test_partial_replay_since_a_time_leaves_out_what_a_source_said_before(replays: ReplayWorld) -> None:
    events = replays.fill(people=5)
    good = events.fields("namdinh.motcua", 7, 6, pin=pin_of(0), full_name="Người Thứ 0", birth_year=1950)
    good["recorded_at"] = FIRST_DAY + timedelta(days=60)
    replays.append([events.record("citizen.changed", good)])
    replays.work()
    planned = replays.plan(Filters(sources=("namdinh.motcua",), since=FIRST_DAY + timedelta(days=50)))
    claims = "SELECT key, source_version FROM {}.citizen_person_claim JOIN source ON id = source WHERE code = :code"
    assert planned.estimate.claims == len(replays.rows(claims.format("hub"), code="namdinh.motcua")) == 2
    ran = replays.run(planned.id)
    schema = f"replay_{planned.id}"
    left = replays.rows(claims.format(schema), code="namdinh.motcua")
    assert [(row.key, row.source_version) for row in left] == [
        (UUID(bytes=events.record("citizen.changed", good).key), 7)
    ]
    assert 0 < ran.selected < ran.read
    found = {one.table: one for one in diff(replays.ground, planned.id).tables}
    assert (found["citizen_person_claim"].removed, found["citizen_person_claim"].added) == (1, 0)
    sample = found["citizen_person_claim"].samples[0]
    assert sample.row["source"] == "namdinh.motcua"
    assert sample.before is not None
    assert sample.before["full_name"] == MASK
    unmasked = diff(replays.ground, planned.id, unmask=True).tables
    assert [(one.samples[0].before or {})["full_name"] for one in unmasked if one.table == "citizen_person_claim"] == [
        "Người Thứ 3"
    ]
