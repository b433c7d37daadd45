"""``hub <entity> show``: everything the hub holds of one thing, and what it held.

One command per entity from one function, whose parameters are the command's options: more than six.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, say_json
from hub.model.declaration import Entity
from hub.model.entities import CITIZEN, DOSSIER, INSPECTION, PROCEDURE, SOCIAL_PAYMENT
from hub.model.errors import ConfigError

EXIT_INCOMPLETE = 3
"""The log could not be reached, and the state that was asked for hangs on it."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """An entity's command: the group it stands in, and what names one of its things."""

    group: str
    entity: Entity
    code: str
    example: str
    help: str


_COMMANDS = (
    _Shown("citizen", CITIZEN, "PIN, CMND-9, social-insurance number or key", "001299000123", "Citizens."),
    _Shown("dossier", DOSSIER, "dossier code or key", "H42.12.34-250701-0001", "Dossiers."),
    _Shown("payment", SOCIAL_PAYMENT, "payment id or key", "CT-2025-07-000123", "Social payments."),
    _Shown("inspection", INSPECTION, "inspection id or key", "TT-2025-014", "Inspections."),
    _Shown("procedure", PROCEDURE, "procedure code or key", "1.001193", "Procedures of the catalogue."),
)

_HELP = """Show one {what} on one screen: who claims what, who holds the record and by which rule, what is disputed.

Personal and sensitive values are masked. With `--unmask` they are shown, and who asked and why is written to the table
`action` before anything is printed. A past state is folded from the events in the log: `--as-of` asks what held then
(valid time), `--known-at` what the hub knew then (record time); both can be given. A day means all of it, in Vietnam.
Exit code 1 when the hub knows no such thing, 3 when a past state is asked for and the log cannot be reached.

**Examples**

- `hub {group} show {example}`
- `hub {group} show {example} --history`
- `hub {group} show {example} --as-of 2025-07-01 --known-at 2025-08-15T08:30`
- `hub {group} show {example} --unmask --reason "complaint 12/2025" --officer H42-017 --json`
"""


def register(app: typer.Typer) -> None:
    """Add ``show`` to the group of each entity; a group that another module made is kept."""
    for shown in _COMMANDS:
        _group(app, shown).command("show", help=_help(shown))(_command(shown))


def _help(shown: _Shown) -> str:
    return _HELP.format(what=shown.entity.name.replace("_", " "), group=shown.group, example=shown.example)


def _group(app: typer.Typer, shown: _Shown) -> typer.Typer:
    for group in app.registered_groups:
        if group.name == shown.group and group.typer_instance is not None:
            return group.typer_instance
    made = typer.Typer(no_args_is_help=True, help=shown.help)
    app.add_typer(made, name=shown.group)
    return made


def _command(shown: _Shown) -> Callable[..., None]:
    def show(
        who: Annotated[
            str, typer.Argument(metavar=shown.group.upper(), help=f"{shown.code}; - reads it from standard input.")
        ],
        as_of: Annotated[str | None, typer.Option("--as-of", help="What held on this day or at this time.")] = None,
        known_at: Annotated[str | None, typer.Option("--known-at", help="What the hub knew then.")] = None,
        history: Annotated[bool, typer.Option("--history", help="Every event of it, read from the log.")] = False,
        unmask: Annotated[bool, typer.Option("--unmask", help="Show personal values; needs --reason.")] = False,
        reason: Annotated[str | None, typer.Option("--reason", help="Why they are looked at.")] = None,
        officer: Annotated[str | None, typer.Option("--officer", help="Code of the officer who asks.")] = None,
        as_json: AsJson = False,
    ) -> None:
        _show(shown.entity, who, (as_of, known_at), history, _Asker(unmask, reason, officer), as_json)

    return show


@dataclass(frozen=True, slots=True)
class _Asker:
    unmask: bool
    reason: str | None
    officer: str | None


def _show(
    entity: Entity, who: str, times: tuple[str | None, str | None], history: bool, asker: _Asker, as_json: bool
) -> None:
    from hub.cli.records.view import WIDTH, render  # heavy: the codec, SQLAlchemy and the log's client
    from hub.operate.actions import actor
    from hub.operate.records.as_json import as_json as json_of
    from hub.operate.records.history import Limits
    from hub.operate.records.request import Request, Unmasking, answer
    from hub.operate.records.times import time_of

    if asker.unmask and not (asker.reason or "").strip():
        raise ConfigError(["--unmask needs --reason: why the values are looked at"])
    as_of, known_at = times
    limits = Limits(
        None if as_of is None else time_of(as_of, "--as-of"),
        None if known_at is None else time_of(known_at, "--known-at"),
    )
    unmasking = Unmasking(actor(asker.officer), asker.reason or "") if asker.unmask else None
    settings, places = located()
    engine = warehouse(settings, places, "hub show")
    asked = sys.stdin.readline() if who == "-" else who
    request = Request(entity, asked, limits, history, unmasking, settings.archive_dir)
    found = answer(engine, places.bootstrap, places.key_secret, request)
    if as_json:
        say_json(json_of(found))
    else:
        terminal = Screen()
        fits = terminal.is_terminal and terminal.width < WIDTH
        (terminal if fits else Screen(width=WIDTH)).print(render(found))
    if not found.is_complete:
        raise typer.Exit(EXIT_INCOMPLETE)
