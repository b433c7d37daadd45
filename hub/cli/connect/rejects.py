"""``hub connect rejects``: which rows of a source were set aside, by its own keys, with the values that failed."""

import os
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.declared.load import load_declaration
from connectors.opening import open_context
from hub.cli.connect.options import Declared
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, plain, say_json
from hub.config import load_settings
from hub.embedded.locate import kafka_endpoints
from hub.retry import SHORT_COMMAND

if TYPE_CHECKING:
    from connectors.streams.rejected import ShownReject


def rejects_command(
    declaration: Declared,
    stream: Annotated[str | None, typer.Option("--stream", help="Only rejects of this stream.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only rejects with this reason.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show the rejects (dòng chưa ánh xạ được): rows that could not become events, each with its key and failing value.

    Rows that were published without an optional value are listed, too, with the reason `FIELD_DROPPED`: each field, why
    its value was left out, and the value as the source has it.

    For the source's side only: keys and values are looked up in the source now, and they may be personal. The hub never
    sees them, and the connector's state stores neither. Rejects of a stream that is no longer declared are marked.

    **Examples**

    `hub connect rejects hanam.toml`

    `hub connect rejects hanam.toml --reason FIELD_DROPPED`

    `hub connect rejects hanam.toml --stream citizens --reason UNMAPPED_WORD --json`
    """
    from connectors.streams.rejected import shown_rejects

    secret = kafka_endpoints(load_settings()).key_secret
    with closing(open_context(load_declaration(declaration), secret, os.environ)) as context:
        shown = SHORT_COMMAND.retrying()(shown_rejects, context, stream, reason)
        is_read = bool(shown or context.state.summary())
    if as_json:
        say_json({"source": context.declaration.code, "rejects": [one.as_json() for one in shown]})
    else:
        print_rejects(context.declaration.code, shown, is_read)
    return 0


def print_rejects(source: str, shown: "list[ShownReject]", is_read: bool = True) -> None:
    """Print one line for each reject; nothing is cut off, so it can be copied. ``is_read``: something was read yet."""
    console = Screen(soft_wrap=True)
    if not shown:
        unread = "; nothing was read yet: `hub connect check DECLARATION.toml --all` shows what would be rejected"
        console.print(plain(f"{source}: no rejects{'' if is_read else unread}"))
    for one in shown:
        if not one.is_declared:
            row = "the declaration no longer has this stream"
        elif one.key is None:
            row = "no row has this key now: deleted, outside `where`, or the stream's table or key is another"
        else:
            row = f"row {pairs(one.key)}" + (f": {pairs(one.values)}" if one.values else "")
        console.print(plain(f"{one.stream}  {one.reason} {one.detail}  {row}"))


def pairs(values: Mapping[str, str | None]) -> str:
    """Return names with their values, as one text."""
    return ", ".join(f"{name} = {'null' if value is None else value!r}" for name, value in values.items())
