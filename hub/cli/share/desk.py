"""``hub share status``, ``set-aside``, ``republish``: share's state, what it could not publish, what it repeats."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from sqlalchemy import Engine

from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.progress import progress_bar
from hub.cli.shared.screen import say_json, screen
from hub.config import Settings, limits_of
from hub.embedded.locate import Endpoints
from hub.model.errors import ConfigError, HubError
from hub.topology import record_topics
from hub.warehouse.database import open_database, translated_errors
from hub.warehouse.setup.roles import WORKER

if TYPE_CHECKING:
    from hub.share.republish import Republication
    from hub.share.share import Share

_LOOK_EVERY_S = 0.5
_APPLICATION = "hub share"
PUBLISHED = ", ".join(record_topics())
"""What share publishes, for a command's help."""


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``share``."""
    group.command("status")(status)
    group.command("set-aside")(set_aside)
    group.command("republish")(republish)


def status(as_json: AsJson = False) -> None:
    """Show whether share runs, what it waits for and since when, and how far it is behind.

    Exit code 1 if no share runs, if records are set aside, or if a topic was created again.

    **Examples**

    - `hub share status`
    - `hub share status --json`
    """
    from hub.cli.share.view import told  # heavy: the warehouse
    from hub.share.report import read_report

    settings, places = located()
    with translated_errors("reading how share is"), warehouse(settings, places, _APPLICATION).connect() as connection:
        report = read_report(connection, limits_of(settings))
    if as_json:
        say_json(report.as_json())
    else:
        for part in told(report):
            screen().print(part, soft_wrap=isinstance(part, str))
    if not report.is_well:
        raise typer.Exit(1)


def set_aside(
    with_closed: Annotated[bool, typer.Option("--all", help="Also those that were published later.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most records to list, the oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the records that could not be published: key, reason, since when. All other records were published.

    The portal has the earlier state of these records, or none. Share tries each again when its key changes and when
    share starts. Exit code 1 if there are any.

    **Examples**

    - `hub share set-aside`
    - `hub share set-aside --all --json`
    """
    from hub.cli.share import view  # heavy: the warehouse
    from hub.share.set_aside import count_asides, read_asides

    settings, places = located()
    engine = warehouse(settings, places, _APPLICATION)
    with translated_errors("reading what is set aside"), engine.connect() as connection:
        found = read_asides(connection, most=limit, with_closed=with_closed)
        count = sum(count_asides(connection).values())
    if as_json:
        say_json({"open": count, "set_aside": [view.aside_as_json(one) for one in found]})
    else:
        if found:
            screen().print(view.aside_table(found))
        screen().print(f"set aside: {count:,}" if count else "nothing is set aside")
    if count:
        raise typer.Exit(1)


def republish(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"{', '.join(record_topics())}, or e.g. citizen.changed.dlq.")
    ],
    keys: Annotated[
        list[str] | None,
        typer.Option("--keys", help="Only this key: its hash, its number or its code; may be repeated."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait: leave the work to a running share.")] = False,
    reason: Reason = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Publish again what a topic should hold, from the warehouse's present records; for a topic that was created again.

    Prints the plan. `--execute` stores the request and waits until it is done: by the running share, or by
    this command if no share runs. After an interruption any share, or the same command, continues it.

    **Examples**

    - `hub share republish citizen`
    - `hub share republish citizen --execute --reason "topic lost, incident 12"`
    - `hub share republish dossier --keys H42.12.34-250701-0001 --execute --reason "asked by the portal"`
    - `hub share republish citizen.changed.dlq --json`
    """
    from hub.cli.share import view  # heavy: the warehouse and the codec
    from hub.operate.share_republish import REPUBLISH, ask_again, plan_again

    by = Asker(officer, reason).action(REPUBLISH) if execute else None
    settings, places = located()
    engine = warehouse(settings, places, _APPLICATION)
    wanted = None if keys is None else [_key_of(name, key, places.key_secret) for key in keys]
    plan = plan_again(engine, places.bootstrap, name, wanted)
    for part in () if as_json else view.plan_told(plan):
        screen().print(part)
    number = None if by is None else ask_again(engine, plan, by)
    done = 0 if number is None or no_wait else _until_done(settings, places, engine, number)
    if as_json:
        say_json(view.plan_as_json(plan) | {"executed": execute, "id": number, "done": done})
    elif not execute:
        screen().print("nothing is published; add --execute and --reason")
    elif no_wait:
        screen().print("requested; `hub share` publishes it, `hub share status` shows how far it is")
    else:
        screen().print(f"{done:,} records published again")


def _key_of(name: str, text: str, secret: str) -> UUID:
    """Return a key by its hash, or by the number or code from which the hash is made."""
    from hub.model.entities import ENTITIES
    from hub.operate.records.typed_key import keys_meant, typed_hash

    key = typed_hash(text)
    if key is not None:
        return key
    entity = next((one for one in ENTITIES if one.name == name), None)
    if entity is None:
        raise ConfigError([f"--keys: give keys of {name} as their hash"])
    return keys_meant(entity, text, secret)[0]


def _until_done(settings: Settings, places: Endpoints, engine: Engine, number: int) -> int:
    """Wait until a request is done, and share meanwhile if nobody else does; return how many records it was."""
    from hub.share.share import Share

    working = open_database(places.database_url, settings.database_schema, _APPLICATION, role=WORKER)
    sharing = Share(working, places.bootstrap, places.key_secret, limits_of(settings), stays=False)
    with progress_bar("records published again") as progress:
        return asyncio.run(_shared_until_done(sharing, engine, number, progress))


async def _shared_until_done(
    sharing: "Share", engine: Engine, number: int, progress: Callable[[int, int], None]
) -> int:
    """Run a share in this process until the request is finished; it waits while another share publishes."""
    running = asyncio.create_task(sharing.run())
    try:
        while True:
            request = await asyncio.to_thread(_request_of, engine, number)
            progress(request.done, request.total)
            if request.finished_at is not None:
                return request.done
            if running.done():
                await running
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _request_of(engine: Engine, number: int) -> "Republication":
    from hub.share.republish import read_request

    with translated_errors("looking how far it is"), engine.connect() as connection:
        found = read_request(connection, number)
    if found is None:
        raise HubError(f"the request {number} is gone")
    return found
