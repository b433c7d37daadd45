"""The command ``hub deadletters list``: letters one by one, or counted in groups."""

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.dead_letters.options import Cause, LetterChoice, Limit, Since, SourceCode, TopicName, Until
from hub.cli.shared.context import opened
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import say_json, screen
from hub.model.refusals import GroupBy

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hub.operate.dead_letters.letters import LetterFilter

_State = Annotated[
    str,
    typer.Option("--state", help="open, edited, approved, redriven, discarded; undone means the first three; or all."),
]
_By = Annotated[
    GroupBy | None,
    typer.Option("--by", help="Count them in groups instead, the largest group first, without a limit."),
]
_APPLICATION = "hub deadletters"


def list_letters(
    cause: Cause = None,
    source: SourceCode = None,
    topic: TopicName = None,
    since: Since = None,
    until: Until = None,
    state: _State = "undone",
    limit: Limit = 50,
    by: _By = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters (bản ghi bị loại, lưu kèm lý do), the oldest first; and how many there are for each reason.

    **Examples**

    - `hub deadletters list`
    - `hub deadletters list --by reason`
    - `hub deadletters list --cause INVALID_VALUE --source hanam.motcua --since 2026-11-22`
    - `hub deadletters list --topic citizen.changed --state all --limit 500 --json`
    """
    from hub.cli.dead_letters import view  # heavy: the warehouse
    from hub.operate.dead_letters.letters import letter_counts, read_letters
    from hub.warehouse.database import translated_errors

    wanted = LetterChoice(cause, source, topic, since, until, limit).filter(state)
    engine = opened(_APPLICATION).engine
    if by is not None:
        _say_groups(engine, wanted, by, as_json)
        return
    with translated_errors("reading dead letters"), engine.connect() as connection:
        found, counts = read_letters(connection, wanted), letter_counts(connection, wanted)
    if as_json:
        told = [{"reason": reason, "state": state.value, "count": count} for reason, state, count in counts]
        say_json({"counts": told, "letters": [view.as_json(one) for one in found]})
        return
    console = screen()
    if found:
        console.print(view.listed(found))
    console.print(view.counted(counts))


def _say_groups(engine: "Engine", wanted: "LetterFilter", by: GroupBy, as_json: bool) -> None:
    from hub.cli.dead_letters import view
    from hub.operate.dead_letters.groups import group_letters
    from hub.warehouse.database import translated_errors

    with translated_errors("counting dead letters"), engine.connect() as connection:
        groups = group_letters(connection, wanted, by)
    if as_json:
        say_json({"by": by.value, "groups": [view.group_as_json(one) for one in groups]})
        return
    console = screen()
    console.print(view.grouped(groups, by) if groups else "no dead letters")
