"""The check that refused a record, as data: the stages that it passed in order, and the rule that failed.

A dead letter's reason and detail are for people; this is for commands that sort, count and explain them. Pure, and
total: there is an answer for every reason and detail.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hub.model.outcomes import Reason


class Stage(StrEnum):
    """The stages of every record, in this order; ``LOG`` is only named if it refuses a record."""

    LOG = "log"
    FRAME = "frame"
    SCHEMA = "schema"
    DECODE = "decode"
    RULES = "rules"
    KEY = "key"
    STORE = "store"


class GroupBy(StrEnum):
    """By what refused records are counted."""

    REASON = "reason"
    SOURCE = "source"
    TOPIC = "topic"


CHECKED_BY: Mapping[Stage, str] = {
    Stage.LOG: "hub.log.unpacking",
    Stage.FRAME: "hub.codec.wire",
    Stage.SCHEMA: "hub.intake.decode.batch",
    Stage.DECODE: "hub.intake.decode.row_path",
    Stage.RULES: "hub.intake.checks.check",
    Stage.KEY: "hub.intake.checks.check",
    Stage.STORE: "hub.reconcile.isolate",
}
"""Module that checks at each stage."""

_STAGE_OF: Mapping[str, Stage] = {
    Reason.UNREADABLE_RECORD: Stage.LOG,
    Reason.TOMBSTONE: Stage.FRAME,
    Reason.EMPTY: Stage.FRAME,
    Reason.TOO_LARGE: Stage.FRAME,
    Reason.BAD_MAGIC: Stage.FRAME,
    Reason.UNKNOWN_SCHEMA_ID: Stage.SCHEMA,
    Reason.WRONG_SUBJECT: Stage.SCHEMA,
    Reason.NOT_DECODABLE: Stage.DECODE,
    Reason.TRAILING_BYTES: Stage.DECODE,
    Reason.DECODER_TIMEOUT: Stage.DECODE,
    Reason.DECODER_CRASH: Stage.DECODE,
    Reason.INVALID_VALUE: Stage.RULES,
    Reason.KEY_MISMATCH: Stage.KEY,
    Reason.WORKER_BUG: Stage.STORE,
}
_SQLSTATE = re.compile(r"SQLSTATE (\w{5})")
_FIELD = re.compile(r"([a-z][a-z0-9_]*): (.+)", re.DOTALL)
_NAMES_A_FIELD = frozenset({Reason.INVALID_VALUE, Reason.NOT_DECODABLE})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Where a record was refused: the stage, the rule, and the field, if the rule is about one."""

    stage: Stage
    rule: str
    field: str | None = None
    sqlstate: str | None = None

    def stack(self) -> list[dict[str, Any]]:
        """Return the stages of the record; the last one refused it."""
        passed = list(Stage)[1 : list(Stage).index(self.stage)]
        steps: list[dict[str, Any]] = [
            {"stage": stage.value, "by": CHECKED_BY[stage], "passed": True} for stage in passed
        ]
        last: dict[str, Any] = {"stage": self.stage.value, "by": CHECKED_BY[self.stage], "passed": False}
        last["rule"] = self.rule
        if self.field is not None:
            last["field"] = self.field
        if self.sqlstate is not None:
            last["sqlstate"] = self.sqlstate
        return [*steps, last]


def refusal(reason: str, detail: str) -> Refusal:
    """Return what refused a record, from the reason and detail of its dead letter; neither holds a value."""
    stage = _STAGE_OF.get(reason, Stage.RULES)
    if reason == Reason.INVALID_VALUE and (state := _SQLSTATE.search(detail)):
        return Refusal(Stage.STORE, "PostgreSQL stores the row", sqlstate=state[1])
    if reason in _NAMES_A_FIELD and (named := _FIELD.fullmatch(detail)):
        return Refusal(stage, named[2], named[1])
    return Refusal(stage, detail or reason)
