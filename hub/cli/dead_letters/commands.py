"""Commands of dead letters: ``hub deadletters show``, ``redrive``, ``edit``, ``approve`` and ``discard``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.dead_letters.listing import list_letters
from hub.cli.dead_letters.options import (
    Cause,
    Id,
    Ids,
    LetterChoice,
    Limit,
    Since,
    SourceCode,
    TopicName,
    Until,
    bytes_of,
    fields_of,
)
from hub.cli.shared.context import opened
from hub.cli.shared.credential import credential_of
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason, ReasonToUnmask, Unmask
from hub.cli.shared.screen import say_json, screen

if TYPE_CHECKING:
    from hub.operate.dead_letters.redrive import Redriven, RedrivePlan

_APPLICATION = "hub deadletters"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "Dead letters (bản ghi bị loại, lưu kèm lý do): look, edit, send again, discard."
    add_group(app, "deadletters", told, list_letters, show, redrive, edit, approve, discard)


def show(
    place: Id,
    unmask: Unmask = False,
    reason: ReasonToUnmask = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a dead letter (bản ghi bị loại): where it was read, what refused it, what was done.

    Its bytes may hold personal data: `--unmask --reason` shows them, and the hub records who looked.

    **Examples**

    - `hub deadletters show citizen.changed/1/1656`
    - `hub deadletters show citizen.changed/1/1656 --unmask --reason "complaint 12/2026" --officer H42-017`
    """
    from hub.cli.dead_letters import view  # heavy: the warehouse and the codec
    from hub.log.places import place_of
    from hub.operate.dead_letters.show import show_letter

    unmasking = Asker(officer, reason).unmasking(unmask)
    _, places, engine = opened(_APPLICATION)
    found = show_letter(engine, place_of(place), unmasking, places.bootstrap)
    if as_json:
        say_json(view.shown_as_json(found))
    else:
        screen().print(view.shown(found))


def redrive(
    ids: Ids = None,
    cause: Cause = None,
    source: SourceCode = None,
    topic: TopicName = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 1000,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters (bản ghi bị loại) to their topic again (đưa lại), as they came or as approved.

    Prints the plan; `--execute` sends. Each letter goes to the partition it came from, with its key, and with the
    header `hub.origin`. The command may be interrupted at any time and run again: nothing is lost and nothing is sent
    twice. A record that fails again becomes a new letter.

    **Examples**

    - `hub deadletters redrive citizen.changed/1/1656`
    - `hub deadletters redrive --cause UNKNOWN_SCHEMA_ID --reason "hub updated" --execute`
    - `hub deadletters redrive --source hanam.motcua --since 2026-11-22 --limit 200 --reason "case 7" --execute`
    """
    from hub.cli.shared.progress import progress_bar
    from hub.operate.dead_letters.redrive import (  # heavy: the warehouse, the producer
        Redriven,
        plan_redrive,
        redrive_letters,
    )

    wanted = LetterChoice(cause, source, topic, since, until, limit).filter(ids=ids)
    _, places, engine = opened(_APPLICATION)
    plan, done = plan_redrive(engine, wanted), Redriven(0, 0)
    if execute:
        by, of = Asker(officer, reason).by(), len(plan.letters) + plan.interrupted
        with progress_bar("redriven") as tell:
            done = redrive_letters(engine, places, plan, by, lambda count: tell(count, of))
    _say_redriven(plan, done, execute, as_json)


def _say_redriven(plan: "RedrivePlan", done: "Redriven", execute: bool, as_json: bool) -> None:
    from hub.cli.dead_letters import view
    from hub.log.places import place_text

    if as_json:
        left_out = [{"letter": place_text(place), "why": why} for place, why in plan.left_out]
        letters = [place_text(one.place) for one in plan.letters]
        told = {"letters": letters, "left_out": left_out, "interrupted": plan.interrupted}
        say_json(told | {"executed": execute, "sent": done.sent, "found": done.found})
        return
    console = screen()
    view.say_plan(console, plan)
    if execute:
        console.print(f"sent {done.sent:,}; {done.found:,} had been sent by an interrupted redrive")
    else:
        console.print("nothing is sent; add --execute and --reason")


def edit(
    place: Id,
    value_file: Annotated[Path | None, typer.Option("--value-file", help="File with the whole new value.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Set a field. Empty means null; @FILE reads the value from a file."
        ),
    ] = None,
    rekey: Annotated[bool, typer.Option("--rekey", help="Compute its key from its fields.")] = False,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Give a dead letter other bytes; another person must approve them before they can be redriven.

    The letter itself stays as it came; the hashes before and after are stored. If you set a field of the key, the
    letter gets the key that belongs to it.

    **Examples**

    - `hub deadletters edit citizen.changed/1/1656 --set birth_month=12 --reason "paper file 45/2001"`
    - `hub deadletters edit citizen.changed/1/1656 --value-file mended.bin --reason "case 7" --execute`
    """
    from hub.cli.dead_letters import view  # heavy: the warehouse and the codec
    from hub.log.places import place_of
    from hub.operate.dead_letters.edit import Change, edit_letter, plan_edit

    _, places, engine = opened(_APPLICATION)
    change = Change(bytes_of(value_file), fields_of(sets or []), rekey)
    plan = plan_edit(engine, places.key_secret, place_of(place), change)
    number = edit_letter(engine, plan, Asker(officer, reason).by()) if execute else None
    if as_json:
        say_json(view.edit_plan_as_json(plan) | {"executed": execute, "edit": number})
        return
    console = screen()
    view.say_edit(console, plan)
    approve_it = f"hub deadletters approve {place} --approved-by NAME --reason TEXT --execute"
    console.print(f"kept; another person approves it: {approve_it}" if execute else "nothing is kept; add --execute")


def approve(
    place: Id,
    approved_by: Annotated[str, typer.Option("--approved-by", help="Who approves; not who edited it.")],
    reason: Reason = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Approve the edit of a dead letter, as a second person with your own credential.

    The command asks for the credential, or takes it from HUB_APPROVER_CREDENTIAL or from the file that
    HUB_APPROVER_CREDENTIAL_FILE names. `hub operators add` allows a person to approve.

    **Examples**

    - `hub deadletters approve citizen.changed/1/1656 --approved-by H42-009`
    - `hub deadletters approve citizen.changed/1/1656 --approved-by H42-009 --reason "paper file seen" --execute`
    """
    from hub.cli.dead_letters import view  # heavy: the warehouse
    from hub.log.places import place_of
    from hub.operate.approval import Second
    from hub.operate.dead_letters.edit import approve_edit, edit_to_approve

    settings, _, engine = opened(_APPLICATION)
    found = edit_to_approve(engine, place_of(place))
    if execute:
        purpose = Asker(approved_by, reason).why()
        second = Second(approved_by, credential_of(settings, approved_by))
        found = approve_edit(engine, place_of(place), second, purpose)
    if as_json:
        say_json(view.edit_as_json(found) | {"executed": execute})
        return
    console = screen()
    console.print(view.edits([found]))
    console.print("approved; it can be redriven" if execute else "nothing is approved; add --execute and --reason")


def discard(
    ids: Ids = None,
    cause: Cause = None,
    source: SourceCode = None,
    topic: TopicName = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 1000,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Close dead letters without doing anything. They stay, with their bytes, and with who decided it and why.

    **Examples**

    - `hub deadletters discard citizen.changed/1/1656 --reason "test of the province, case 7" --execute`
    - `hub deadletters discard --cause TOMBSTONE --until 2026-11-01 --reason "producer mended" --execute`
    """
    from hub.cli.dead_letters import view  # heavy: the warehouse
    from hub.log.places import place_text
    from hub.operate.dead_letters.edit import discard_letters, plan_discard
    from hub.operate.dead_letters.letters import State

    wanted = LetterChoice(cause, source, topic, since, until, limit).filter(ids=ids)
    engine = opened(_APPLICATION).engine
    found = plan_discard(engine, wanted)
    if execute:
        discard_letters(engine, found, Asker(officer, reason).by())
        found = [replace(one, state=State.DISCARDED) for one in found]
    if as_json:
        letters = [place_text(one.place) for one in found]
        say_json({"letters": letters, "state": found[0].state.value if found else None, "executed": execute})
        return
    console = screen()
    if found:
        console.print(view.listed(found))
    console.print(f"discarded {len(found):,}" if execute else f"{len(found):,} would be; add --execute and --reason")
