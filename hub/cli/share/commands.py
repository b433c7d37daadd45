"""``hub share`` publishes golden records; ``hub portal tail`` consumes them as the portal would."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from hub.cli.share import desk as share_desk
from hub.cli.shared.context import located
from hub.cli.shared.options import json_option
from hub.cli.shared.process_tuning import give_way, serve_evenly
from hub.cli.shared.screen import Screen, plain, say, say_json, styled
from hub.cli.shared.signals import SIGNALLED, run_until_signalled
from hub.config import Settings, limits_of, load_settings
from hub.embedded.locate import Endpoints
from hub.model.entities import ENTITIES, entity_named
from hub.model.errors import ConfigError
from hub.model.texts.visible import log_to_stderr
from hub.share.tail import PortalRecord, json_value, newest, tail
from hub.topology import record_topics
from hub.warehouse.database import open_database
from hub.warehouse.setup.roles import WORKER


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    sharing = typer.Typer(invoke_without_command=True)
    sharing.callback()(share)
    share_desk.register(sharing)
    app.add_typer(sharing, name="share")
    portal = typer.Typer(no_args_is_help=True, help="The portal's side.")
    portal.command("tail")(portal_tail)
    app.add_typer(portal, name="portal")


def share(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Publish what is due, then end.")] = False,
    as_json: Annotated[bool, json_option("With --once: print the number of published records.")] = False,
) -> None:
    """Follow the audit log and publish golden records (bản ghi chuẩn) and dead letters to their topics, until stopped.

    A second instance waits until the first one ends. If the tables do not exist yet, or a broker or the database is
    unreachable, share waits; the log and `hub share status` show what it waits for, and since when. A record that
    cannot be published is set aside (`hub share set-aside`). A topic that does not exist or accepts nothing is blocked
    (`hub share status`). All others continue. With --once the exit code is 1 when a topic is blocked. SIGTERM and
    Ctrl-C end share in order.

    **Examples**

    - `hub share`
    - `hub share --once --json`
    """
    if context.invoked_subcommand is not None:
        return
    from hub.share.share import Share  # heavy: only this command needs a producer and the codec

    log_to_stderr(load_settings().log_level)
    for library in ("kafka", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    settings, places = located()
    _with_tables(settings, places, once)
    engine = open_database(places.database_url, settings.database_schema, "hub share", role=WORKER)
    sharing = Share(engine, places.bootstrap, places.key_secret, limits_of(settings), stays=not once)
    serve_evenly()
    give_way()
    signalled = run_until_signalled(sharing.run(once))
    if signalled is not None:
        raise typer.Exit(SIGNALLED + signalled)
    if as_json:
        say_json({"published": sharing.published, "blocked": sorted(sharing.blocked)})
    for topic in sorted(sharing.blocked):
        say(f"{topic} is blocked: `hub share status` says why; all other topics have what there is", error=True)
    if sharing.blocked:
        raise typer.Exit(1)


def _with_tables(settings: Settings, places: Endpoints, once: bool) -> None:
    """Wait for the warehouse's tables; with ``once``, raise an error if they are missing."""
    from hub.warehouse.setup.await_tables import wait_until_migrated  # heavy: the migrations

    looking = open_database(places.database_url, settings.database_schema, "hub share")
    try:
        wait_until_migrated(looking, settings.database_schema, for_tables=not once)
    finally:
        looking.dispose()


def portal_tail(
    records: Annotated[str, typer.Argument(metavar="NAME", help=f"Which records: {share_desk.PUBLISHED}.")] = "citizen",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more records.")] = False,
    limit: Annotated[int, typer.Option(help="Stop after this many records; 0: no limit.", min=0)] = 20,
    newest_: Annotated[int | None, typer.Option("--newest", min=1, help="The newest records, this many.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Records of one key only: its 32 hexadecimal digits, or its code.")
    ] = None,
    as_json: Annotated[bool, json_option("Print one JSON object per line.")] = False,
) -> None:
    """Read golden records (bản ghi chuẩn) from the beginning of their compacted topic. Personal fields are masked.

    Each shows when it was published and which row of the audit log changed it last (docs/consume.md). With --follow
    the command waits for a topic that does not exist yet.

    **Examples**

    - `hub portal tail`
    - `hub portal tail dossier --limit 3 --json`
    - `hub portal tail citizen --follow`
    - `hub portal tail dossier --newest 5`
    - `hub portal tail dossier --key H42.12.34-250701-0001 --follow`
    - `hub portal tail flag`
    """
    topics = record_topics()
    if records not in topics:
        raise ConfigError([f"{records}: is not published; published are {share_desk.PUBLISHED}"])
    _, places = located()
    console, count = Screen(), 0
    if newest_ is not None and (follow or key is not None):
        raise ConfigError(["--newest: goes neither with --follow nor with --key"])
    if newest_ is not None:
        found, limit = iter(newest(places.bootstrap, topics[records], newest_)), 0
    else:
        found = _from_the_beginning(places, records, key, follow)
    for count, record in enumerate(found, 1):
        if as_json:
            say_json(record.as_json())
        else:
            _show(console, record)
        if count == limit:
            break
    if not count and key is not None:
        say(f"{topics[records]} holds no record of this key", error=True)


def _from_the_beginning(places: Endpoints, records: str, key: str | None, follow: bool) -> Iterator[PortalRecord]:
    keys = None if key is None else _keys_meant(records, key, places.key_secret)
    waits = partial(say, error=True)
    for record in tail(places.bootstrap, record_topics()[records], unmask=False, until_end=not follow, waits=waits):
        if keys is None or record.key in keys:
            yield record


def _keys_meant(records: str, key: str, secret: str) -> frozenset[UUID]:
    """Return the keys that ``--key`` can mean."""
    from hub.operate.records.typed_key import keys_meant, typed_hash  # heavy: the codec

    if records in {entity.name for entity in ENTITIES}:
        return frozenset(keys_meant(entity_named(records), key, secret))
    meant = typed_hash(key)
    if meant is None:
        raise ConfigError([f"--key: {records} records have no code; give the key, 32 hexadecimal digits"])
    return frozenset({meant})


def _show(console: Console, record: PortalRecord) -> None:
    console.print(styled("[bold]{}[/bold]  {}/{}/{}", record.key.hex, record.topic, record.partition, record.offset))
    published = f"    published {record.published_at or 'at an unknown time'}; {_change(record)}"
    console.print(plain(published), soft_wrap=True)
    if record.fields is None:
        console.print("    gone")
        return
    for name, value in record.fields.items():
        if name not in {"key", "revision"}:
            console.print(
                plain(f"    {name}: {_brief(json_value(value))}"), soft_wrap=False, overflow="ellipsis", no_wrap=True
            )


def _change(record: PortalRecord) -> str:
    return f"changed by {record.position}" if record.position else "last change unknown"


def _brief(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_brief(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        return "; ".join(_brief(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
