"""The least and the most that the rule of a kind allows are allowed, and nothing past them: dropped where optional."""

from typing import Any

import pytest

from hub.codec.catalogue import load_catalogue
from hub.intake.checks.check import SourceRules, check
from hub.model.entities import SUBJECTS
from hub.model.values.kinds import KINDS
from tests.unit.intake.checks.test_check import SECRET, frame_of
from tests.unit.intake.checks.test_lengths import PERSON, POLICY, refusals

SUBJECT = "citizen.changed"
LIMITS = [
    (spec.name, limit, step, spec.nullable)
    for spec in load_catalogue().latest(SUBJECT).fields
    if spec.value_kind
    for limit, step in ((KINDS[spec.value_kind].least, -1), (KINDS[spec.value_kind].most, 1))
    if limit is not None
]


@pytest.mark.parametrize(("name", "limit", "step", "is_optional"), LIMITS)
def test_limit_of_a_rule_is_allowed_and_the_next_number_is_not(
    name: str, limit: int, step: int, is_optional: bool
) -> None:
    rows = PERSON | {name: limit}, PERSON | {name: limit + step}
    word = "less" if step < 0 else "more"
    refused = [] if is_optional else [(1, "INVALID_VALUE", f"{name}: {word} than {limit}")]
    assert refusals(SUBJECT, *rows) == refused
    if is_optional:
        assert taken(*rows) == [(limit, None), (None, f"{name} DROPPED OUT_OF_RANGE")]


def taken(*rows: dict[str, Any]) -> list[tuple[Any, str | None]]:
    """Return what became of the field that the rows set beside a person's."""
    (name,) = {name for row in rows for name in row if name not in PERSON}
    version, (entity, aspect) = load_catalogue().latest(SUBJECT), SUBJECTS[SUBJECT]
    found = check(frame_of(SUBJECT, list(rows)), version, entity, aspect, SourceRules.of(POLICY, {"old": 7}), SECRET)
    return found.passed.select(name, "doubtful_fields").rows()


def test_there_are_such_rules() -> None:
    assert len(LIMITS) >= 10
