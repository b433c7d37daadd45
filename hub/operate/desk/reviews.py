"""An officer decides a conflict or review: the command first says what it would do, then publishes it as an event.

The worker merges the event like any other. So the warehouse follows a moment later, and a replay decides the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, select

from hub.embedded.locate import Endpoints
from hub.model.decisions import NOTHING_TO_KEEP, SUBJECT, TAKEN, Decision, ReviewKind, Verdict
from hub.model.declaration import Role
from hub.model.entities import entity_named
from hub.model.errors import ConfigError
from hub.model.policies.policy import Source
from hub.operate.actions import UNMASK, Action, note
from hub.operate.log.publish import publish
from hub.operate.records.beside import Beside
from hub.operate.records.events import decisions_about
from hub.operate.records.questions import CONFLICT, Question, question_of
from hub.operate.records.request import Answer, Unmasking
from hub.operate.records.thing import Shown, masked_shown, sides_of
from hub.reconcile.shared.decisions import hash_of_review
from hub.reconcile.shared.identity import part_text
from hub.warehouse.database import translated_errors
from hub.warehouse.sources import applied_policy
from hub.warehouse.tables.core import review, source
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables

DECIDE = "review.decide"


@dataclass(frozen=True, slots=True)
class Given:
    """What an officer decides. ``choose``: the code of one of the candidates."""

    number: str
    verdict: Verdict
    officer: str
    reason: str
    choose: str | None = None


@dataclass(frozen=True, slots=True)
class DecisionPlan:
    """A decision that is about to be published: on which question, in whose name, and in words what it does."""

    question: Question
    decision: Decision
    desk: Source
    effect: str


def plan_decision(engine: Engine, given: Given) -> DecisionPlan:
    """Return the decision as it would be published now.

    Raises:
        ConfigError: it cannot be decided like this, with every reason.
    """
    with translated_errors("reading a review"), engine.connect() as connection:
        question = question_of(connection, given.number)
        seen_held, seen_other = _seen(connection, question)
        desk = officers_desk(connection)
    problems = [*_problems(question, given), *([] if desk else [NO_DESK])]
    if problems or desk is None:
        raise ConfigError(problems)
    detail = question.detail or {}
    decision = Decision(
        of=question.of,
        verdict=given.verdict,
        officer=given.officer,
        reason=given.reason,
        decided_at=datetime.now(UTC),
        chosen=given.choose,
        other_key=UUID(detail["other_key"]) if detail.get("other_key") else None,
        seen_held_hash=seen_held,
        seen_other_hash=seen_other,
    )
    return DecisionPlan(question, decision, desk, _effect(question, given))


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """A question with the claims it is about, next to each other. ``answer`` is None if nobody claims anything."""

    question: Question
    answer: Answer | None


def show_question(engine: Engine, number: str, unmasking: Unmasking | None) -> ShownQuestion:
    """Return a question and its claims; personal values are masked unless somebody unmasks, which is recorded first.

    Raises:
        ConfigError: there is no such question, or the person who unmasks gives no reason.
    """
    with translated_errors("reading a review"), engine.begin() as connection:
        question = question_of(connection, number)
        entity = entity_named(question.of.aspect.partition(".")[0])
        keys = [question.of.key, *([UUID(other)] if (other := _other(question)) else [])]
        decisions = decisions_about(connection, entity, keys)
        parts = {question.of.part} if question.of.kind is not ReviewKind.POSSIBLE_DUPLICATE_PERSON else {""}
        sides = [
            side
            for key in keys
            for side in sides_of(connection, entity, key, decisions)
            if f"{entity.name}.{side.aspect.name}" == question.of.aspect and "|".join(side.part) in parts
        ]
        if unmasking is not None:
            note(connection, Action(unmasking.actor, UNMASK, unmasking.reason, entity.name, question.of.key))
    shown = Shown(entity, question.of.key, tuple(sides), Beside(decisions=tuple(decisions)), tuple(keys))
    if not sides:
        return ShownQuestion(question, None)
    return ShownQuestion(question, Answer(shown if unmasking else masked_shown(shown), is_masked=unmasking is None))


def decide(engine: Engine, places: Endpoints, plan: DecisionPlan) -> None:
    """Publish the decision and record who made it; the worker does the rest.

    Raises:
        UnreachableError: the broker does not answer; it is safe to decide again.
    """
    decision = plan.decision
    publish(places, SUBJECT, [decision.event(plan.desk.code, plan.desk.agency)])
    entity = decision.of.aspect.partition(".")[0]
    detail = {"review": plan.question.number, "verdict": decision.verdict.value, "field": decision.of.field}
    with translated_errors("noting a decision"), engine.begin() as connection:
        note(connection, Action(decision.officer, DECIDE, decision.reason, entity, decision.of.key, detail))


NO_DESK = f"policy: no source has the role {Role.OFFICER.value} and may speak of {SUBJECT}"


def officers_desk(connection: Connection) -> Source | None:
    """Return the source of officers' decisions in the policy in force; None if it names none."""
    applied = applied_policy(connection)
    if applied is None:
        return None
    desks = (of for of in applied.policy.sources.values() if of.role is Role.OFFICER and SUBJECT in of.subjects)
    return next(desks, None)


def _problems(question: Question, given: Given) -> list[str]:
    """List why the question cannot be decided like this."""
    kind, number = question.of.kind, question.number
    problems = []
    if not given.officer.strip() or not given.reason.strip():
        problems.append(f"{number}: say who decides, and why")
    if not question.is_open and question.noted is None:
        problems.append(f"{number}: it closed by itself; there is nothing to decide")
    if given.verdict is Verdict.TAKE and kind not in TAKEN:
        problems.append(f"{number}: a question of {kind.value} has nothing to take; decide keep or wait")
    if given.verdict is Verdict.KEEP and kind in NOTHING_TO_KEEP:
        problems.append(
            f"{number}: keep would leave the record parked for ever; decide take to let it in with its time, or wait;"
            " to reject it, `hub parked discard PLACE` asks a second person (`hub parked list` shows the place)"
        )
    if given.verdict is Verdict.TAKE and kind is ReviewKind.POSSIBLE_DUPLICATE_PERSON and not _other(question):
        problems.append(f"{number}: it names no other person to merge with; decide keep or wait")
    choices = candidates(question)
    needs_choice = given.verdict is Verdict.TAKE and kind is ReviewKind.AMBIGUOUS_UNIT
    if needs_choice and given.choose not in choices:
        problems.append(f"{number}: choose with --choose one of {', '.join(choices)}")
    if given.choose is not None and not needs_choice:
        problems.append(f"{number}: --choose goes with `take` of {ReviewKind.AMBIGUOUS_UNIT.value} only")
    return problems


def candidates(question: Question) -> list[str]:
    """Return the codes from which an officer may choose."""
    found = (question.detail or {}).get("candidates") or []
    return sorted({str(one["code"]) if isinstance(one, Mapping) else str(one) for one in found})


def _other(question: Question) -> str | None:
    return (question.detail or {}).get("other_key")


def _effect(question: Question, given: Given) -> str:
    of, who = question.of, question.held_by
    match given.verdict, of.kind:
        case Verdict.WAIT, _:
            return "it stays open, and the reason is stored with it"
        case Verdict.TAKE, ReviewKind.CONFLICT:
            return f"{of.source} will hold {of.aspect} in place of {who}, as long as it says what it says now"
        case Verdict.KEEP, ReviewKind.CONFLICT:
            return f"{who} keeps holding {of.aspect}; open again when {of.source} says something new"
        case Verdict.TAKE, ReviewKind.AMBIGUOUS_UNIT:
            return f"{of.field} counts as in {given.choose} today, as long as {of.source} says so"
        case Verdict.TAKE, ReviewKind.TIME_IN_FUTURE:
            return f"the event of version {of.field} counts; what {of.source} says under a lower version is stale"
        case Verdict.TAKE, ReviewKind.REFERENCE_MISSING:
            return f"what {of.source} says, now and later, of this key counts without what it refers to, with a flag"
        case Verdict.TAKE, _:
            return f"{TAKEN[of.kind]}; a later decision to keep undoes it"
        case Verdict.KEEP, ReviewKind.REFERENCE_MISSING:
            return (
                f"what {of.source} says of this key stays parked until what it refers to comes; nobody is asked again"
            )
        case Verdict.KEEP, ReviewKind.POSSIBLE_DUPLICATE_PERSON:
            return "they stay two persons; an earlier decision to merge them is undone"
        case _:
            return "it is closed without a change; it opens again when what it is about changes"


def _seen(connection: Connection, question: Question) -> tuple[int | None, int | None]:
    """Return the content hashes of the claim that holds the record and of the claim that the question is about."""
    if not question.number.startswith(CONFLICT):
        found = select(hash_of_review()).where(review.c.id == int(question.number[1:]))
        return None, connection.execute(found).scalar_one()
    of = question.of
    hashes = _content_hashes(connection, _tables_of(of.aspect), of.key, of.part)
    return hashes.get(question.held_by or ""), hashes.get(of.source)


def _content_hashes(connection: Connection, tables: AspectTables, key: UUID, part: str) -> dict[str, int]:
    claim = tables.claim
    rows: Any = connection.execute(
        select(source.c.code, claim.c.content_hash)
        .join_from(claim, source, source.c.id == claim.c.source)
        .where(claim.c.key == key, part_text(tables, claim) == part)
    )
    return {code: content_hash for code, content_hash in rows}


def _tables_of(aspect: str) -> AspectTables:
    return next(tables for tables in all_aspect_tables() if tables.name == aspect)
