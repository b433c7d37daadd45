"""Commands of the people who may approve: ``hub operators add``, ``list`` and ``disable``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hub.cli.context import located, warehouse
from hub.cli.credential import credential_of
from hub.cli.options import AsJson, Execute, Officer
from hub.cli.screen import Screen, say_json

if TYPE_CHECKING:
    from hub.operate.operators import Operator

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Code by which the person is known; never a full name.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why, without personal data: it is kept for ever.")]
_APPLICATION = "hub operators"


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="People who may approve what another has prepared.")
    group.command("add")(add)
    group.command("list")(list_)
    group.command("disable")(disable)
    app.add_typer(group, name="operators")


def add(
    name: _Name, reason: _Reason, officer: Officer = None, execute: Execute = False, as_json: AsJson = False
) -> None:
    """Let a person approve edits and discards; or give one who may a new credential.

    The credential is asked for, or taken from HUB_APPROVER_CREDENTIAL or the file that HUB_APPROVER_CREDENTIAL_FILE
    names. Only its scrypt hash is kept.

    **Examples**

    - `hub operators add H42-009 --reason "on duty from December"`
    - `hub operators add H42-009 --reason "on duty from December" --execute`
    """
    from hub.operate.actions import actor  # heavy: the warehouse
    from hub.operate.operators import add_operator

    settings, places = located()
    if execute:
        credential = credential_of(settings, name, twice=True)
        add_operator(warehouse(settings, places, _APPLICATION), name, credential, actor(officer), reason)
    _say(name, f"{name} may approve", f"{name} would be let approve", execute, as_json)


def list_(as_json: AsJson = False) -> None:
    """List everybody who may, or might once, approve.

    **Examples**

    - `hub operators list`
    - `hub operators list --json`
    """
    from hub.operate.operators import list_operators  # heavy: the warehouse
    from hub.warehouse.database import translated_errors

    settings, places = located()
    with translated_errors("reading operators"), warehouse(settings, places, _APPLICATION).connect() as connection:
        found = list_operators(connection)
    if as_json:
        say_json({"operators": [_as_json(one) for one in found]})
        return
    if not found:
        Screen().print("nobody may approve yet: hub operators add NAME")
        return
    table = Table("name", "added", "by", "disabled", "by", box=None, pad_edge=False)
    for one in found:
        gone = f"{one.disabled_at:%Y-%m-%d %H:%M}" if one.disabled_at else ""
        table.add_row(one.name, f"{one.added_at:%Y-%m-%d %H:%M}", one.added_by, gone, one.disabled_by or "")
    Screen().print(table)


def disable(
    name: _Name, reason: _Reason, officer: Officer = None, execute: Execute = False, as_json: AsJson = False
) -> None:
    """Take a person's right to approve away; what they approved before stands.

    **Examples**

    - `hub operators disable H42-009 --reason "left the office" --execute`
    """
    from hub.operate.actions import actor  # heavy: the warehouse
    from hub.operate.operators import disable_operator

    settings, places = located()
    if execute:
        disable_operator(warehouse(settings, places, _APPLICATION), name, actor(officer), reason)
    _say(name, f"{name} may not approve any more", f"{name} would not be let approve any more", execute, as_json)


def _say(name: str, done: str, planned: str, executed: bool, as_json: bool) -> None:
    if as_json:
        say_json({"operator": name, "executed": executed})
    else:
        Screen().print(done if executed else f"{planned}; add --execute")


def _as_json(one: "Operator") -> dict[str, Any]:
    return {
        "name": one.name,
        "added_at": one.added_at.isoformat(),
        "added_by": one.added_by,
        "disabled_at": one.disabled_at and one.disabled_at.isoformat(),
        "disabled_by": one.disabled_by,
    }
