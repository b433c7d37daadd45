"""Commands of the people who may approve: ``hub operators add``, ``list``, ``unlock``, ``disable``."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hub.cli.shared.context import located, reading, warehouse
from hub.cli.shared.credential import credential_of, new_credential_of
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Execute, Officer, ReasonAlways
from hub.cli.shared.screen import say, say_json, screen

if TYPE_CHECKING:
    from hub.operate.desk.operators import Operator

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Code of the person; never a full name.")]
_APPLICATION = "hub operators"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "operators", "People who may approve what another person has prepared.", add, list_, unlock, disable)


def add(
    name: _Name,
    reason: ReasonAlways,
    approved_by: Annotated[
        str | None,
        typer.Option("--approved-by", help="Operator who approves it; for your own new credential, yourself."),
    ] = None,
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Allow a person to approve edits and discards; or give an operator a new credential.

    The first operator of a warehouse needs no approval. For every other operator, and for a new credential, another
    operator must approve it. The command asks for that operator's credential, or takes it from HUB_APPROVER_CREDENTIAL
    or from the file that HUB_APPROVER_CREDENTIAL_FILE names. If you know your own credential, you may change it alone
    and approve it yourself. The command asks for the new credential, or takes it from HUB_NEW_CREDENTIAL or from the
    file that HUB_NEW_CREDENTIAL_FILE names. Only its scrypt hash is stored.

    **Examples**

    - `hub operators add H42-001 --reason "first of this warehouse" --execute`
    - `hub operators add H42-009 --reason "on duty from December" --approved-by H42-001 --execute`
    - `hub operators add H42-009 --reason "a new credential" --approved-by H42-009 --execute`
    """
    from hub.operate.actions import actor  # heavy: the warehouse
    from hub.operate.approval import Second
    from hub.operate.desk.operators import add_operator

    settings, places = located()
    if execute:
        second = Second(approved_by, credential_of(settings, approved_by)) if approved_by else None
        credential = new_credential_of(settings, name)
        add_operator(warehouse(settings, places, _APPLICATION), name, credential, actor(officer), reason, second)
    _say(name, f"{name} may approve", f"{name} would be allowed to approve", execute, as_json)


def list_(as_json: AsJson = False) -> None:
    """List active, locked and disabled operators, with the wrong tries of their credentials.

    **Examples**

    - `hub operators list`
    - `hub operators list --json`
    """
    from hub.operate.approval import MOST_TRIES  # heavy: the warehouse
    from hub.operate.desk.operators import list_operators

    with reading("operators", _APPLICATION) as connection:
        found = list_operators(connection)
    if as_json:
        say_json({"operators": [_as_json(one) for one in found]})
        return
    if not found:
        say("nobody may approve yet: hub operators add NAME")
        return
    table = Table("name", "state", "added", "by", "approved by", "wrong tries", "the last", box=None, pad_edge=False)
    for one in found:
        tries = f"{one.failed_tries} of {MOST_TRIES}" if one.failed_tries else ""
        added = (_minute(one.added_at), one.added_by, one.approved_by or "")
        table.add_row(one.name, _state(one), *added, tries, _minute(one.last_failed_at))
    screen().print(table)


def unlock(
    name: _Name,
    reason: ReasonAlways,
    approved_by: Annotated[
        str, typer.Option("--approved-by", help="Operator who approves it; not the one who is unlocked.")
    ],
    officer: Officer = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Unlock an operator whose credential was wrong too often; another operator must approve it.

    The credential stays the same. If it was forgotten, `hub operators add` gives a new one.

    **Examples**

    - `hub operators unlock H42-009 --reason "asked them" --approved-by H42-001 --execute`
    """
    from hub.operate.actions import actor  # heavy: the warehouse
    from hub.operate.approval import Second
    from hub.operate.desk.operators import unlock_operator

    settings, places = located()
    if execute:
        second = Second(approved_by, credential_of(settings, approved_by))
        unlock_operator(warehouse(settings, places, _APPLICATION), name, actor(officer), reason, second)
    _say(name, f"{name} may approve again", f"{name} would be allowed to approve again", execute, as_json)


def disable(
    name: _Name, reason: ReasonAlways, officer: Officer = None, execute: Execute = False, as_json: AsJson = False
) -> None:
    """End a person's right to approve at once; earlier approvals stay valid. The last operator cannot be disabled.

    **Examples**

    - `hub operators disable H42-009 --reason "left the office" --execute`
    """
    from hub.operate.actions import actor  # heavy: the warehouse
    from hub.operate.desk.operators import disable_operator

    settings, places = located()
    if execute:
        disable_operator(warehouse(settings, places, _APPLICATION), name, actor(officer), reason)
    _say(name, f"{name} may not approve any more", f"{name} would not be allowed to approve any more", execute, as_json)


def _say(name: str, done: str, planned: str, executed: bool, as_json: bool) -> None:
    if as_json:
        say_json({"operator": name, "executed": executed})
    else:
        say(done if executed else f"{planned}; add --execute")


def _state(one: "Operator") -> str:
    if one.disabled_at is not None:
        return f"disabled {_minute(one.disabled_at)} by {one.disabled_by}"
    return f"locked {_minute(one.locked_at)}" if one.locked_at is not None else "may approve"


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time is not None else ""


def _as_json(one: "Operator") -> dict[str, Any]:
    told = {name: getattr(one, name) for name in one.__slots__}
    shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}
    return shown | {"may_approve": one.may_approve}
