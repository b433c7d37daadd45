"""``hub connect compare``: does the warehouse hold what the source holds? And repair it."""

import os
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.declared.load import load_declaration
from connectors.opening import open_context
from connectors.streams.context import Context
from hub.cli.connect.options import Declared
from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.progress import progress_line
from hub.cli.shared.screen import say_json
from hub.model.errors import ConfigError
from hub.retry import SHORT_COMMAND

if TYPE_CHECKING:
    from connectors.running.publisher import KafkaPublisher

SETTLE_S = 60.0
_Stream = Annotated[
    str | None,
    typer.Option("--stream", help="Compare only the subject of this stream, with all streams that feed it."),
]
_Repair = Annotated[
    bool, typer.Option("--repair", help="Plan to publish what is missing or differs, and to withdraw what is gone.")
]
_AllowGone = Annotated[
    int | None,
    typer.Option("--allow-gone", min=0, help="How many keys of a subject may be withdrawn; default: 3, or 5 in 100."),
]
_SourceKeys = Annotated[
    bool, typer.Option("--source-keys", help="Also show the source's own keys; they may be personal.")
]
_Settle = Annotated[
    float, typer.Option("--settle", min=0, help="Most seconds to wait until the hub has merged its log.")
]


def compare_command(
    declaration: Declared,
    stream: _Stream = None,
    repair: _Repair = False,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    allow_gone: _AllowGone = None,
    source_keys: _SourceKeys = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many keys of each kind to name.")] = 20,
    settle_s: _Settle = SETTLE_S,
    as_json: AsJson = False,
) -> int:
    """Compare, key by key, what a source (hệ thống nguồn) holds with what the hub holds of it.

    It finds what a polling connector cannot see: deleted and re-keyed rows, rows that left `where`, rows with old
    times. Run it where both the source and the warehouse can be reached. Events on their way are shown separately and
    do not count as differences. Keys are shown by their keyed hash. Exit code 1 if the two sides differ.

    **Examples**

    `hub connect compare hanam.toml`

    `hub connect compare hanam.toml --repair`  and what a repair would do

    `hub connect compare hanam.toml --repair --execute --reason "monthly comparison"`
    """
    from hub.cli.connect.compare_view import print_comparison
    from hub.cli.connect.one_compare import Repair, compare_source, subjects_of
    from hub.operate.compare.caught_up import CatchUp
    from hub.operate.compare.opening import Ways

    if execute and not repair:
        raise ConfigError(["--execute needs --repair: a comparison by itself changes nothing"])
    settings, places = located()
    context = open_context(load_declaration(declaration), places.key_secret, os.environ)
    subjects, left = subjects_of(context, stream)
    said = Asker(officer, reason).by() if execute else None
    engine = warehouse(settings, places, "hub connect compare")
    publishing = closing(_publisher(context, places.bootstrap)) if said else nullcontext()
    with publishing as publisher, progress_line("comparing", quiet=as_json) as show:
        ways = Ways(CatchUp(places.bootstrap, settle_s), lambda *seen: show(_far(*seen)), source_keys)
        wanted = Repair(allow_gone, said, publisher) if repair else None
        done = SHORT_COMMAND.retrying()(compare_source, context, engine, places, ways, subjects, wanted)
    done.not_compared = left
    if as_json:
        say_json(done.as_json(limit) | {"executed": execute})
    else:
        print_comparison(done, limit, executed=execute)
    return 0 if done.is_equal else 1


def _publisher(context: Context, bootstrap: str) -> "KafkaPublisher":
    from connectors.running.publisher import KafkaPublisher  # heavy: the client and polars

    return KafkaPublisher(bootstrap, f"hub-compare-{context.declaration.code}")


def _far(what: str, done: int, total: int | None) -> str:
    """Say what is being done and how far it is."""
    return f"{what}: {done:,}" + (f" of {total:,}" if total is not None else "")
