"""``hub audit search``. Its parameters are its options: more than six."""

from typing import Annotated

import typer

from hub.cli.shared.options import AsJson, Asker, Officer, reason_option
from hub.cli.shared.screen import say_json


def search(
    entity: Annotated[str | None, typer.Option("--entity", help="If --key is a code: the code's entity.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="A key of the hub; with --entity, a code.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Events of this source.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Actions of this officer or user.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Actions whose reason contains this text.")] = None,
    about: Annotated[
        str | None,
        typer.Option(
            "--about",
            help="Actions whose details name this, and the event there: a letter's or record's place, an operator, a "
            "process, a replay's number.",
        ),
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="From this day or time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until this day or time.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most events to show, and most actions.")] = 100,
    reason: Annotated[str | None, reason_option("every search")] = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Search events and people's actions by key, place, source, officer, purpose and time; the hub records your search.

    **Examples**

    - `hub audit search --key 4f1c...e2 --reason "complaint 12/2026"`
    - `hub audit search --entity citizen --key 001299000123 --reason "complaint 12/2026" --officer H42-017`
    - `hub audit search --about citizen.changed/1/1656 --reason "who approved?"` — what was done about a dead letter
    - `hub audit search --by H42-017 --since 2026-11-01 --reason "inspection of the desk" --json`
    """
    from hub.cli.evidence.search import SearchChoice, searched  # heavy: the codec
    from hub.cli.evidence.view import show_found

    asker = Asker(officer, reason)
    asker.why("a search")
    found = searched(SearchChoice(entity, key, source, by, purpose, about, since, until, limit), asker)
    if as_json:
        say_json({"events": found.events, "actions": found.actions}, default=str)
    else:
        show_found(found)
