"""What a row says against what its bytes give."""

from types import SimpleNamespace
from typing import Any

import pytest

from hub.model.flags import Flag
from hub.model.outcomes import Outcome, Reason
from hub.operate.evidence.outcomes import DERIVED, NOT_DERIVED, OF_THE_MERGE, Derived, outcome_difference

PASSES = Derived(None, 0, 1, b"e")
FLAG = Flag.PIN_MISMATCH


def row(outcome: str, reason: str | None = None, flags: int | None = None, detail: str = "") -> Any:
    return SimpleNamespace(outcome=outcome, reason=reason, flags=flags, detail=detail)


@pytest.mark.parametrize(
    ("said", "derived"),
    [
        *((row(outcome.value), PASSES) for outcome in (Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.DUPLICATE)),
        (row("stale"), PASSES),
        (row("parked", "REFERENCE_MISSING"), PASSES),
        (row("rejected", "VERSION_REUSED", FLAG), Derived(None, FLAG, 1, b"e")),
        (row("applied", None, FLAG), Derived(None, FLAG, 1, b"e")),
        *((row("rejected", "BEFORE_START"), Derived(Reason.BEFORE_START, 0, 1, b"e")),),
        (row("dead_lettered", "EMPTY"), Derived(Reason.EMPTY, 0, None, None)),
        (row("rejected", "SKIPPED_BY_OPERATOR"), PASSES),
        (row("rejected", "SKIPPED_BY_OPERATOR"), Derived(Reason.EMPTY, 0, None, None)),
        (row("dead_lettered", "UNKNOWN_SCHEMA_ID"), PASSES),
        (row("dead_lettered", "DECODER_CRASH"), PASSES),
        (row("applied"), Derived(Reason.DECODER_TIMEOUT, 0, None, None)),
        (row("dead_lettered", "INVALID_VALUE", None, "PostgreSQL refuses a value (x, SQLSTATE 22P05)"), PASSES),
    ],
)
def test_what_agrees_or_cannot_be_derived_is_no_finding(said: Any, derived: Derived) -> None:
    assert outcome_difference(said, derived) == ""


@pytest.mark.parametrize(
    ("said", "derived", "words"),
    [
        (row("applied"), Derived(Reason.WRONG_SUBJECT, 0, None, None), "the bytes are refused: WRONG_SUBJECT"),
        (row("stale"), Derived(Reason.AFTER_CUT_OVER, 0, 1, b"e"), "the bytes are refused: AFTER_CUT_OVER"),
        (row("dead_lettered", "EMPTY"), Derived(Reason.TOMBSTONE, 0, None, None), "refused: TOMBSTONE"),
        (row("dead_lettered", "EMPTY"), PASSES, "the bytes pass every check"),
        (row("dead_lettered", "INVALID_VALUE", None, "birth_month: more than 12"), PASSES, "pass every check"),
        (row("rejected", "SOURCE_UNKNOWN"), PASSES, "the bytes pass every check"),
        (row("rejected"), PASSES, "the bytes pass every check"),
        (row("applied", None, FLAG), PASSES, "the row has the flags PIN_MISMATCH, and the bytes give none"),
        (row("applied"), Derived(None, FLAG, 1, b"e"), "the row has the flags none, and the bytes give PIN_MISMATCH"),
        (row("rejected", "VERSION_REUSED"), Derived(None, FLAG, 1, b"e"), "the bytes give PIN_MISMATCH"),
        (row("applied"), Derived(Reason.UNKNOWN_SCHEMA_ID, 0, None, None), "are refused: UNKNOWN_SCHEMA_ID"),
        (row("applied", "EMPTY"), Derived(Reason.EMPTY, 0, None, None), "that reason belongs to another outcome"),
        (row("rejected", "MADE_UP"), PASSES, "there is no such reason"),
    ],
)
def test_what_the_bytes_contradict_is_said(said: Any, derived: Derived, words: str) -> None:
    assert words in outcome_difference(said, derived)


def test_every_reason_is_derived_or_named_as_not() -> None:
    told = " ".join(NOT_DERIVED)
    others = [reason for reason in Reason if reason not in DERIVED | OF_THE_MERGE and reason.value not in told]
    assert others == []
