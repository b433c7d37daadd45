"""The least and the most that a rule allows are allowed, and nothing past them."""

import pytest

from hub.codec.catalogue import load_catalogue
from hub.model.rules import RULES
from tests.unit.intake.test_lengths import PERSON, refusals

SUBJECT = "citizen.changed"
LIMITS = [
    (name, limit, step)
    for name in sorted(RULES.keys() & {spec.name for spec in load_catalogue().latest(SUBJECT).fields})
    for limit, step in ((RULES[name].least, -1), (RULES[name].most, 1))
    if limit is not None
]


@pytest.mark.parametrize(("name", "limit", "step"), LIMITS)
def test_limit_of_a_rule_is_allowed_and_the_next_number_is_not(name: str, limit: int, step: int) -> None:
    rows = PERSON | {name: limit}, PERSON | {name: limit + step}
    word = "less" if step < 0 else "more"
    assert refusals(SUBJECT, *rows) == [(1, "INVALID_VALUE", f"{name}: {word} than {limit}")]


def test_there_are_such_rules() -> None:
    assert len(LIMITS) >= 6
