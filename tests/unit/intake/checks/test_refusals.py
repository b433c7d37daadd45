"""Which check refused a record, told from the reason and detail of its dead letter."""

import pytest

from hub.model.outcomes import OUTCOME_OF_REASON, Outcome, Reason
from hub.model.refusals import Refusal, Stage, refusal


@pytest.mark.parametrize(
    ("reason", "detail", "expected"),
    [
        ("UNREADABLE_RECORD", "the name of header 1", Refusal(Stage.LOG, "the name of header 1")),
        ("EMPTY", "no bytes", Refusal(Stage.FRAME, "no bytes")),
        ("UNKNOWN_SCHEMA_ID", "schema id 7", Refusal(Stage.SCHEMA, "schema id 7")),
        (
            "NOT_DECODABLE",
            "pin: the datum ends early",
            Refusal(Stage.DECODE, "the datum ends early", "pin"),
        ),
        ("NOT_DECODABLE", "3 bytes, fewer than 5", Refusal(Stage.DECODE, "3 bytes, fewer than 5")),
        ("INVALID_VALUE", "birth_month: more than 12", Refusal(Stage.RULES, "more than 12", "birth_month")),
        (
            "INVALID_VALUE",
            "PostgreSQL refuses a value (committing a batch, SQLSTATE 22021)",
            Refusal(Stage.STORE, "PostgreSQL stores the row", sqlstate="22021"),
        ),
        ("KEY_MISMATCH", "the key: is another", Refusal(Stage.KEY, "the key: is another")),
        ("A_REASON_OF_LATER", "", Refusal(Stage.RULES, "A_REASON_OF_LATER")),
    ],
)
def test_refusal_names_stage_rule_and_field(reason: str, detail: str, expected: Refusal) -> None:
    assert refusal(reason, detail) == expected


def test_stack_has_the_stages_passed_and_ends_at_the_one_that_refused() -> None:
    stack = refusal("INVALID_VALUE", "birth_month: more than 12").stack()
    assert [(step["stage"], step["passed"]) for step in stack] == [
        ("frame", True),
        ("schema", True),
        ("decode", True),
        ("rules", False),
    ]
    assert stack[-1] == {
        "stage": "rules",
        "by": "hub.intake.checks.check",
        "passed": False,
        "rule": "more than 12",
        "field": "birth_month",
    }


def test_every_reason_of_a_dead_letter_has_a_stage_of_its_own() -> None:
    dead = [reason for reason, outcome in OUTCOME_OF_REASON.items() if outcome is Outcome.DEAD_LETTERED]
    in_rules = [reason for reason in dead if refusal(reason, "x").stage is Stage.RULES]
    assert in_rules == [Reason.INVALID_VALUE]
