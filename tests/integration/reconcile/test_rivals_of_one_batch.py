"""Several sources claim one key in one batch: every row's outcome is what it would be had they come one by one."""

from itertools import permutations

import pytest

from tests.support.merge_world import Said, World

RIVALS = (
    Said(1, "province_b", 1, full_name="B"),
    Said(1, "civil", 1, full_name="C"),
    Said(1, "population", 1, full_name="P"),
)


def held(world: World) -> list[tuple[str, str]]:
    """Return who holds each record, and what it says."""
    return [
        tuple(row)
        for row in world.rows(
            """SELECT s.code, c.full_name FROM citizen_person_record r
               JOIN citizen_person_claim c USING (key, source) JOIN source s ON s.id = r.source ORDER BY r.key"""
        )
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_new_claims_of_one_key_in_one_batch_are_superseded_but_for_the_highest(
    world: World, order: tuple[int, ...]
) -> None:
    said = [RIVALS[place] for place in order]
    world.commit(said)
    assert held(world) == [("population", "P")]
    assert world.outcomes() == ["applied" if one.source == "population" else "superseded" for one in said]
    flags = world.rows("SELECT count(*), count(*) FILTER (WHERE contested) FROM citizen_person_claim")
    assert [tuple(row) for row in flags] == [(3, 3)]


@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
def test_update_of_the_holder_and_a_higher_newcomer_in_one_batch(world: World, order: tuple[int, ...]) -> None:
    world.commit([Said(1, "province_b", 1, full_name="B")])
    both = (Said(1, "province_b", 2, full_name="B2"), Said(1, "population", 1, full_name="P"))
    said = [both[place] for place in order]
    world.commit(said)
    assert held(world) == [("population", "P")]
    assert world.outcomes()[1:] == ["applied" if one.source == "population" else "superseded" for one in said]


@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
def test_holder_that_takes_its_claim_back_and_a_newcomer_in_one_batch(world: World, order: tuple[int, ...]) -> None:
    world.commit([Said(1, "population", 1, full_name="P")])
    both = (Said(1, "population", 2, operation="REVOKE", full_name="P"), Said(1, "province_b", 1, full_name="B"))
    world.commit([both[place] for place in order])
    assert held(world) == [("province_b", "B")]
