"""Commands of the officers' desk: ``hub review list``, ``show`` and ``decide``."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hub.cli.shared.context import located, opened, reading, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Officer, OfficerAlways, ReasonAlways, ReasonToUnmask, Unmask
from hub.cli.shared.screen import plain, say_json, screen, styled
from hub.model.decisions import ReviewKind, Verdict

if TYPE_CHECKING:
    from hub.operate.desk.reviews import DecisionPlan
    from hub.operate.records.questions import Question

_Number = Annotated[str, typer.Argument(metavar="ID", help="C12: a conflict, R5: a review; see `hub review list`.")]
_Execute = Annotated[
    bool, typer.Option("--execute", help="Publish it; without this, the command only prints what it would do.")
]


class Word(StrEnum):
    """What an officer may decide, as it is typed."""

    KEEP = "keep"
    TAKE = "take"
    WAIT = "wait"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "Conflicts (mâu thuẫn dữ liệu) and reviews (yêu cầu rà soát): what waits for an officer."
    add_group(app, "review", told, list_, show, decide)


def list_(
    kind: Annotated[ReviewKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    aspect: Annotated[str | None, typer.Option("--aspect", help="Only of this aspect, e.g. citizen.person.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only those in which this source takes part.")] = None,
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, help="Only those that have been open for this many hours.")
    ] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most questions to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List open conflicts (mâu thuẫn dữ liệu) and reviews (yêu cầu rà soát), the oldest first, and their numbers.

    **Examples**

    - `hub review list`
    - `hub review list --kind CONFLICT --aspect citizen.person --source hanam.motcua`
    - `hub review list --older-than 72 --limit 200 --json`
    """
    from hub.operate.records.questions import (  # heavy: the merge's statements
        QuestionFilter,
        open_counts,
        open_questions,
    )

    with reading("reviews", "hub review") as connection:
        found = open_questions(connection, QuestionFilter(kind, aspect, source, older_than, limit))
        counts = open_counts(connection)
    if as_json:
        say_json({"open": counts, "questions": [_as_json(one) for one in found]})
        return
    console = screen()
    if found:
        console.print(_listed(found))
    elif counts:
        console.print("none of those asked for")
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    console.print(f"open: {told}" if counts else "nothing waits for an officer")


def show(
    number: _Number,
    unmask: Unmask = False,
    reason: ReasonToUnmask = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Show a conflict or review with its claims (dữ liệu theo nguồn) next to each other; personal values masked.

    **Examples**

    - `hub review show C12`
    - `hub review show R5 --unmask --reason "complaint 12/2025" --officer H42-017`
    """
    from hub.cli.records.view import brief, render  # heavy: the codec and the log's client
    from hub.operate.desk.reviews import candidates, show_question
    from hub.operate.records.as_json import as_json as json_of

    unmasking = Asker(officer, reason).unmasking(unmask)
    settings, places = located()
    found = show_question(warehouse(settings, places, "hub review"), number, unmasking)
    question = found.question
    if as_json:
        claims = json_of(found.answer) if found.answer else None
        say_json({**_as_json(question), "claims": claims})
        return
    console = screen()
    _say(console, question)
    if choices := candidates(question):
        console.print(f"candidates: {', '.join(choices)}")
    elif question.detail and unmask:
        console.print(plain(brief(dict(question.detail))))
    if found.answer is not None:
        console.print(render(found.answer))


def decide(
    number: _Number,
    word: Annotated[Word, typer.Argument(metavar="keep|take|wait", help="The decision.")],
    officer: OfficerAlways,
    reason: ReasonAlways,
    choose: Annotated[str | None, typer.Option("--choose", help="Code of the candidate to take.")] = None,
    execute: _Execute = False,
    as_json: AsJson = False,
) -> None:
    """Decide a conflict or review (quyết định của cán bộ). Prints the effect; `--execute` publishes the decision.

    `keep` leaves the record (bản ghi chuẩn) as it is, `take` takes the other value, `wait` leaves the question open and
    stores the reason. The decision counts for what the sources say now; if a source says something new later, the hub
    asks again. A later decision replaces an earlier one.

    An event that is dated far ahead (`TIME_IN_FUTURE`) waits for `take`, or for `hub parked discard`; `keep` would
    leave it parked for ever and is refused.

    **Examples**

    - `hub review decide C12 take --officer H42-017 --reason "birth certificate 45/2001"`
    - `hub review decide C12 take --officer H42-017 --reason "birth certificate 45/2001" --execute`
    - `hub review decide R5 take --choose 00637 --officer H42-017 --reason "land register" --execute`
    """
    from hub.operate.desk.reviews import Given, plan_decision  # heavy: the merge's statements and the producer
    from hub.operate.desk.reviews import decide as publish

    _, places, engine = opened("hub review")
    plan = plan_decision(engine, Given(number, Verdict(word.value.upper()), officer, reason, choose))
    if execute:
        publish(engine, places, plan)
    if as_json:
        say_json(_plan_as_json(plan, execute))
        return
    console = screen()
    _say(console, plan.question)
    console.print(f"{word.value}: {plan.effect}")
    console.print("published; the worker merges it" if execute else "nothing is published; add --execute")


def _say(console: Console, question: "Question") -> None:
    of = question.of
    against = f" against {question.held_by}" if question.held_by else ""
    place = " ".join(part for part in (of.aspect, of.part, of.field) if part)
    state = "open" if question.is_open else "closed"
    console.print(
        styled("[bold]{}[/bold] {} {}: {}: {}{}", question.number, of.kind.value, state, place, of.source, against)
    )
    console.print(f"key {of.key}, since {question.opened_at:%Y-%m-%d %H:%M} UTC", style="dim")
    if question.noted is not None:
        noted = question.noted
        when = f"{noted.decided_at:%Y-%m-%d %H:%M} UTC"
        console.print(plain(f"decided before: {noted.verdict} by {noted.officer}, {when}: {noted.reason}"))


def _listed(questions: list["Question"]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "kind", "about", "source", "record of", "open for", "noted"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"id", "kind", "open for"})
    now = datetime.now(UTC)
    for one in questions:
        about = " ".join(part for part in (one.of.aspect, one.of.field) if part)
        noted = f"{one.noted.verdict} {one.noted.officer}" if one.noted else ""
        hours = (now - one.opened_at).total_seconds() / 3600
        age = f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"
        table.add_row(one.number, one.of.kind.value, about, one.of.source, one.held_by or "", age, noted)
    return table


def _as_json(question: "Question") -> dict[str, Any]:
    """Return a question without its detail, which may contain personal values."""
    of, noted = question.of, question.noted
    return {
        "id": question.number,
        "kind": of.kind.value,
        "aspect": of.aspect,
        "key": str(of.key),
        "part": of.part,
        "field": of.field,
        "source": of.source,
        "held_by": question.held_by,
        "opened_at": question.opened_at.isoformat(),
        "is_open": question.is_open,
        "noted": noted
        and {
            "verdict": noted.verdict,
            "officer": noted.officer,
            "reason": noted.reason,
            "decided_at": noted.decided_at.isoformat(),
        },
    }


def _plan_as_json(plan: "DecisionPlan", executed: bool) -> dict[str, Any]:
    return {
        "question": _as_json(plan.question),
        "verdict": plan.decision.verdict.value,
        "chosen": plan.decision.chosen,
        "effect": plan.effect,
        "review_key": plan.decision.of.review_key,
        "version": plan.decision.version,
        "executed": executed,
    }
