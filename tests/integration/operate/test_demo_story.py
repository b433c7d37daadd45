"""The demo's invented people and dossiers."""

import pytest

from hub.demo.dossiers import make_dossiers
from hub.demo.people import IMPOSSIBLE_PREFIXES, MIDNIGHT, make_people, make_pin
from hub.demo.sources import dancu, hanam
from hub.demo.story import make_story
from hub.reference.units import unit_intervals

_ALLOWED_MOVES = {1: {2}, 2: {4}, 4: {4, 5, 6, 8, 9}, 5: {4}, 6: {4}, 8: {10}, 9: {10}}


def test_people_hold_numbers_that_no_living_person_can_hold() -> None:
    provinces = {unit.code for unit in unit_intervals() if unit.level == "PROVINCE"}
    for person in make_people(7, 3_000):
        assert len(person.pin) == 12
        assert person.pin.isdigit()
        assert person.pin[:3] in IMPOSSIBLE_PREFIXES
        assert person.pin[1:3] not in provinces
        assert int(person.pin[:3]) < 100, "codes from 100 on are countries"


def test_people_digits_agree_with_gender_and_birth_year() -> None:
    for person in make_people(7, 500):
        century = 1900 + int(person.pin[3]) // 2 * 100
        assert century + int(person.pin[4:6]) == person.birth_year
        assert int(person.pin[3]) % 2 == (person.gender == "female")


def test_people_same_seed_same_people_and_no_number_twice() -> None:
    people = make_people(7, 2_000)
    assert people == make_people(7, 2_000)
    assert people != make_people(8, 2_000)
    assert len({person.pin for person in people}) == 2_000


def test_pin_after_a_million_people_takes_the_other_prefix() -> None:
    assert make_pin(999_999, 5, "male", 1980) == "000080000005"
    assert make_pin(1_000_000, 5, "female", 2003) == "099303000005"


def test_dossiers_walk_by_the_portals_moves_in_time() -> None:
    dossiers = make_dossiers(7, 400, make_people(7, 300))
    assert dossiers == make_dossiers(7, 400, make_people(7, 300))
    assert len({dossier.code for dossier in dossiers}) == 400
    for dossier in dossiers:
        assert 4 <= len(dossier.steps) <= 8
        assert [step.number for step in dossier.steps] == list(range(1, len(dossier.steps) + 1))
        for before, after in zip(dossier.steps, dossier.steps[1:], strict=False):
            assert after.status in _ALLOWED_MOVES[before.status]
            assert before.at < after.at


@pytest.mark.parametrize("scale", [0.02, 0.1])
def test_story_has_every_mishap_at_small_scales(scale: float) -> None:
    story = make_story(scale)
    assert story.late
    assert story.overtime
    assert story.overtaken
    assert not (story.late & story.overtime) | (story.late & story.overtaken) | (story.overtime & story.overtaken)
    assert any(person.home.is_split for person in story.people)
    for dossier in story.dossiers:
        old = [*story.recorded_before(dossier), *story.recorded_late(dossier)]
        beyond = [step for step in old if step.at >= MIDNIGHT]
        assert len(beyond) == (dossier.code in story.overtime)
        assert sorted(step.number for step in old if step.at < MIDNIGHT) == [
            step.number for step in dossier.steps_before_midnight
        ]


def test_story_at_full_scale_makes_80_000_rows() -> None:
    story = make_story(1.0)
    assert len(story.people) == 30_000
    assert len(story.dossiers) == 6_000
    rows = sum(len(list(table.rows)) for module in (dancu, hanam) for table in module.before(story))
    assert rows + sum(len(dossier.steps) for dossier in story.dossiers) > 80_000
