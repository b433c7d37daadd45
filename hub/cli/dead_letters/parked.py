"""Commands of parked records: ``hub parked list``, ``show``, ``release`` and ``discard``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.dead_letters.options import Id, Ids, Limit
from hub.cli.shared.context import located, opened, reading, warehouse
from hub.cli.shared.credential import credential_of
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason, ReasonToUnmask, Unmask
from hub.cli.shared.screen import say_json, screen
from hub.model.errors import ConfigError

if TYPE_CHECKING:
    from hub.operate.dead_letters.parked import Queue

_Subject = Annotated[str | None, typer.Option("--subject", help="Only events of this subject.")]
_Source = Annotated[str | None, typer.Option("--source", help="Only keys about which this source said something.")]
_WaitsFor = Annotated[
    str | None, typer.Option("--waits-for", help="Only records that wait for this, as `hub parked list` shows it.")
]
_OlderThan = Annotated[
    float, typer.Option("--older-than", min=0, help="Only records that have waited for this many hours.")
]
_APPLICATION = "hub parked"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "Records (bản ghi) that wait for what they refer to, and later records of their keys."
    add_group(app, "parked", told, list_, show, release, discard)


def list_(
    subject: _Subject = None,
    source: _Source = None,
    waits_for: _WaitsFor = None,
    older_than: _OlderThan = 0,
    by_reference: Annotated[
        bool, typer.Option("--by-reference", help="One line for each thing that records wait for.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List which records wait for what, since when, and how many more wait behind them; one line per key.

    **Examples**

    - `hub parked list`
    - `hub parked list --by-reference`
    - `hub parked list --subject dossier.submitted --older-than 72 --limit 500 --json`
    """
    from hub.cli.dead_letters import parked_view as view  # heavy: the warehouse
    from hub.operate.dead_letters.parked import ParkedFilter, count_parked, read_awaited, read_queues

    wanted = ParkedFilter(subject, source, waits_for, older_than, (), limit)
    with reading("parked records", _APPLICATION) as connection:
        found: list[Any] = read_awaited(connection, limit) if by_reference else read_queues(connection, wanted)
        records, keys = count_parked(connection)
    if as_json:
        rows = [view.awaited_as_json(one) if by_reference else view.as_json(one) for one in found]
        say_json({"records": records, "keys": keys, "parked": rows})
        return
    console = screen()
    if found:
        console.print(view.awaited(found) if by_reference else view.listed(found))
    console.print(f"parked: {records:,} records of {keys:,} keys" if records else "nothing is parked")


def show(
    place: Id,
    unmask: Unmask = False,
    reason: ReasonToUnmask = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Show the waiting records of a key, in the order of their release; personal values masked.

    **Examples**

    - `hub parked show dossier.submitted/0/17`
    - `hub parked show dossier.submitted/0/17 --unmask --reason "complaint 12/2026" --officer H42-017`
    """
    from hub.cli.dead_letters import parked_view as view  # heavy: the warehouse and the codec
    from hub.log.places import place_of
    from hub.operate.dead_letters.parked import show_queue

    unmasking = Asker(officer, reason).unmasking(unmask)
    settings, places = located()
    queue, records = show_queue(warehouse(settings, places, _APPLICATION), place_of(place), unmasking)
    if as_json:
        told = [view.record_as_json(one) for one in records]
        say_json(view.as_json(queue) | {"queue": told, "masked": not unmask})
    else:
        screen().print(view.shown(queue, records))


def release(
    ids: Ids = None,
    subject: _Subject = None,
    source: _Source = None,
    waits_for: _WaitsFor = None,
    older_than: _OlderThan = 0,
    limit: Limit = 50,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Release records without what they refer to, with a flag. Prints the plan; `--execute` publishes the decisions.

    An ID means the whole queue of its key. The decision (quyết định của cán bộ) also counts for what the source says of
    the key later, and cannot be undone once the records are released.

    **Examples**

    - `hub parked release dossier.submitted/0/17`
    - `hub parked release --waits-for procedure:1.001193 --reason "not in the catalogue, decree 5/2026" --execute`
    """
    from hub.log.places import place_of  # heavy: the warehouse and the producer
    from hub.operate.dead_letters.parked import ParkedFilter, read_queues
    from hub.operate.dead_letters.parked_release import release_queues
    from hub.warehouse.database import translated_errors

    wanted = ParkedFilter(subject, source, waits_for, older_than, tuple(place_of(one) for one in ids or []), limit)
    if wanted == ParkedFilter(limit=limit):
        raise ConfigError(["say which records: an ID, --waits-for, --subject, --source or --older-than"])
    _, places, engine = opened(_APPLICATION)
    with translated_errors("reading parked records"), engine.connect() as connection:
        found = read_queues(connection, wanted)
    if execute and found:
        release_queues(engine, places, found, Asker(officer, reason).by())
    _say_released(found, execute, as_json)


def _say_released(found: "list[Queue]", execute: bool, as_json: bool) -> None:
    from hub.cli.dead_letters import parked_view as view

    if as_json:
        say_json({"parked": [view.as_json(one) for one in found], "executed": execute})
        return
    console = screen()
    if found:
        console.print(view.listed(found))
    count = sum(queue.records for queue in found)
    done = f"published; the worker lets {count:,} records of {len(found):,} keys in"
    console.print(done if execute else f"{count:,} records of {len(found):,} keys; add --execute and --reason")


def discard(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The records; records behind them stay.")],
    approved_by: Annotated[
        str | None, typer.Option("--approved-by", help="The second person, who approves it.")
    ] = None,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Reject parked records permanently, by two people: they get the outcome `rejected` with the reason `DISCARDED`.

    The command asks for the second person's credential, or takes it from HUB_APPROVER_CREDENTIAL or from the file that
    HUB_APPROVER_CREDENTIAL_FILE names. The records stay in the log.

    **Examples**

    - `hub parked discard dossier.submitted/0/17`
    - `hub parked discard dossier.submitted/0/17 --reason "test data" --officer H42-017 --approved-by H42-009 --execute`
    """
    from hub.log.places import place_of, place_text
    from hub.operate.approval import Second
    from hub.operate.dead_letters.parked_release import discard_parked, plan_discard

    settings, _, engine = opened(_APPLICATION)
    wanted = [place_of(one) for one in ids]
    found = plan_discard(engine, wanted)
    if execute:
        by = Asker(officer, reason).by()
        if approved_by is None:
            raise ConfigError(["--execute needs --approved-by: name the second person"])
        discard_parked(engine, wanted, by, Second(approved_by, credential_of(settings, approved_by)))
    if as_json:
        say_json({"records": [place_text(one.place) for one in found], "executed": execute})
        return
    console = screen()
    for one in found:
        console.print(f"{place_text(one.place)}: waits for {one.waits_for or 'an earlier record'}")
    nothing = "nothing is discarded; add --execute, --reason and --approved-by"
    console.print(f"rejected {len(found):,}" if execute else nothing)
