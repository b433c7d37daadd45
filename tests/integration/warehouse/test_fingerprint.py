"""Two warehouses compared row for row: equal states whatever the order, and differences named without values."""

from collections.abc import Iterator, Sequence

import pytest

from hub.warehouse.fingerprint import differences, warehouse_state
from tests.conftest import RunningEngine
from tests.support.merge_world import Said, World, open_world

pytestmark = pytest.mark.engine

EVENTS = (
    Said(1, "population", 1, full_name="A"),
    Said(1, "population", 2, full_name="B"),
    Said(1, "province_a", 1, full_name="C"),
    Said(2, "province_b", 1, full_name="D"),
    Said(2, "civil", 1, full_name="E", day=1),
)


@pytest.fixture(scope="module")
def worlds(engine: RunningEngine) -> Iterator[tuple[World, World]]:
    names = "fingerprint_one", "fingerprint_other"
    one, other = (open_world(engine.create_database(name)) for name in names)
    yield one, other
    for world, name in ((one, names[0]), (other, names[1])):
        world.engine.dispose()
        engine.engine.drop_database(name)


def _told(worlds: tuple[World, World], one: Sequence[Said], other: Sequence[Said]) -> list[str]:
    for world, said in zip(worlds, (one, other), strict=True):
        world.clear()
        for event in said:
            world.commit([event])
    with worlds[0].engine.connect() as here, worlds[1].engine.connect() as there:
        is_equal = warehouse_state(here) == warehouse_state(there)
        found = differences(here, there)
    assert is_equal == (not found)
    return found


def test_states_are_equal_whatever_the_order_and_the_repeats(worlds: tuple[World, World]) -> None:
    assert _told(worlds, EVENTS, [*reversed(EVENTS), *EVENTS]) == []
    with worlds[0].engine.connect() as connection:
        states = warehouse_state(connection)
    assert states["citizen_person_claim"].rows == 4
    assert states["citizen_person_record"].rows == 2
    assert states["conflict"].rows == 2


@pytest.mark.parametrize(
    ("other", "tables"),
    [
        (EVENTS[:-1], {"citizen_person_claim", "citizen_person_record", "conflict"}),
        ((*EVENTS[:1], *EVENTS[2:]), {"citizen_person_claim"}),
        ((*EVENTS[:3], Said(2, "province_b", 1, full_name="Z"), EVENTS[4]), {"citizen_person_claim"}),
    ],
)
def test_differences_name_tables_and_keys_and_no_values(
    worlds: tuple[World, World], other: Sequence[Said], tables: set[str]
) -> None:
    found = _told(worlds, EVENTS, other)
    assert {line.split(":")[0] for line in found if not line.startswith(" ")} == tables
    assert any("00000000-0000-000" in line for line in found)
    assert not any(name in " ".join(found).split() for name in "ABCDEZ")


def test_i4_conflict_with_an_ended_source_closes_as_if_it_had_never_been(worlds: tuple[World, World]) -> None:
    early, late = Said(1, "population", 1, full_name="B"), Said(1, "population", 2, full_name="C", day=3)
    ended = Said(1, "province_a", 1, full_name="D")
    assert _told(worlds, [early, ended, late], [late, ended, early]) == []
