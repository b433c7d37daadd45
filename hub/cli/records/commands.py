"""``hub <entity> show``: everything the hub holds of one thing, and what it held before.

One function makes one command per entity. Its parameters are the command's options: more than six.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.shared.context import opened
from hub.cli.shared.options import AsJson, Asker, Officer, ReasonToUnmask, Unmask
from hub.cli.shared.screen import say_json, screen
from hub.model.declaration import Entity, ShowCommand
from hub.model.entities import ENTITIES
from hub.operate.records.typed_key import written_key

if TYPE_CHECKING:
    from hub.operate.records.request import Unmasking

EXIT_INCOMPLETE = 3
"""The log could not be reached, and the requested state depends on it."""


_HELP = """Show one {what} on one screen: the claims (dữ liệu theo nguồn), who holds the record, by which rule,
conflicts.

The record is the golden record (bản ghi chuẩn); a conflict (mâu thuẫn dữ liệu) is a field in which sources disagree.
Personal and sensitive values are masked. `--unmask` shows them; before it prints, the hub writes to the table `action`
who asked and why. A past state is computed from the events in the log: `--as-of` shows what was true then (valid time),
`--known-at` what the hub knew then (record time); both may be given. A day means the whole day, in Vietnam.
Exit code 1 if the hub knows no such thing; 3 if the requested past state needs the log and Kafka is unreachable.

**Examples**

- `hub {group} show {example}`
- `hub {group} show {example} --history`
- `hub {group} show {example} --as-of 2025-07-01 --known-at 2025-08-15T08:30`
- `hub {group} show {example} --unmask --reason "complaint 12/2025" --officer H42-017 --json`
"""


def register(app: typer.Typer) -> None:
    """Add ``show`` to the group of each entity that declares one; a group that another module made is kept."""
    for entity in ENTITIES:
        if entity.show is not None:
            command = _in_full(entity, entity.show)
            help_text = _HELP.format(what=entity.label, group=command.group, example=command.example)
            _group(app, command).command("show", help=help_text)(_command(entity, command))


def _in_full(entity: Entity, command: ShowCommand) -> ShowCommand:
    """Return the words of a command, with those in place that the declaration leaves to the entity's name and key."""
    return ShowCommand(
        command.group or entity.name.replace("_", "-"),
        command.code or f"{written_key(entity)} or key",
        command.example or written_key(entity),
        command.about or f"Records of one {entity.label}.",
    )


def _group(app: typer.Typer, command: ShowCommand) -> typer.Typer:
    for group in app.registered_groups:
        if group.name == command.group and group.typer_instance is not None:
            return group.typer_instance
    made = typer.Typer(no_args_is_help=True, help=command.about)
    app.add_typer(made, name=command.group)
    return made


def _command(entity: Entity, command: ShowCommand) -> Callable[..., None]:
    def show(
        who: Annotated[
            str, typer.Argument(metavar=command.group.upper(), help=f"{command.code}; - reads it from standard input.")
        ],
        as_of: Annotated[str | None, typer.Option("--as-of", help="What was true on this day or at this time.")] = None,
        known_at: Annotated[str | None, typer.Option("--known-at", help="What the hub knew then.")] = None,
        history: Annotated[bool, typer.Option("--history", help="Also every event of it, read from the log.")] = False,
        unmask: Unmask = False,
        reason: ReasonToUnmask = None,
        officer: Officer = None,
        as_json: AsJson = False,
    ) -> None:
        unmasking = Asker(officer, reason).unmasking(unmask)
        _show(entity, _Asked(who, as_of, known_at, history, unmasking), as_json)

    return show


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options ask for."""

    who: str
    as_of: str | None
    known_at: str | None
    history: bool
    unmasking: "Unmasking | None"


def _show(entity: Entity, asked: _Asked, as_json: bool) -> None:
    from hub.cli.records.view import render  # heavy: the codec, SQLAlchemy and the log's client
    from hub.operate.records.as_json import as_json as json_of
    from hub.operate.records.history import Limits
    from hub.operate.records.request import Request, answer
    from hub.operate.records.times import time_of

    limits = Limits(
        None if asked.as_of is None else time_of(asked.as_of, "--as-of"),
        None if asked.known_at is None else time_of(asked.known_at, "--known-at"),
    )
    settings, places, engine = opened("hub show")
    who = sys.stdin.readline() if asked.who == "-" else asked.who
    request = Request(entity, who, limits, asked.history, asked.unmasking, settings.archive_dir)
    found = answer(engine, places.bootstrap, places.key_secret, request)
    if as_json:
        say_json(json_of(found))
    else:
        screen().print(render(found))
    if not found.is_complete:
        raise typer.Exit(EXIT_INCOMPLETE)
