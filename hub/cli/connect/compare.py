"""``hub connect compare``: does the warehouse hold what the source holds? And repair it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from connectors.declared.load import load_declaration
from connectors.opening import open_context
from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, say_json
from hub.model.errors import ConfigError
from hub.retry import SHORT_COMMAND

SETTLE_S = 60.0


def compare_command(
    declaration: Annotated[Path, typer.Argument(help="The source's declaration (TOML).", metavar="DECLARATION.toml")],
    stream: Annotated[
        str | None,
        typer.Option("--stream", help="Compare only the subject of this stream, with all streams that feed it."),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Plan to publish what is missing or differs, and to withdraw what is gone."),
    ] = False,
    execute: Execute = False,
    reason: Reason = None,
    officer: Officer = None,
    allow_gone: Annotated[
        int | None,
        typer.Option(
            "--allow-gone", min=0, help="How many keys of a subject may be withdrawn; default: 3, or 5 in 100."
        ),
    ] = None,
    source_keys: Annotated[
        bool, typer.Option("--source-keys", help="Also show the source's own keys; they may be personal.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many keys of each kind to name.")] = 20,
    settle_s: Annotated[
        float, typer.Option("--settle", min=0, help="Most seconds to wait until the hub has merged its log.")
    ] = SETTLE_S,
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
    from connectors.running.publisher import KafkaPublisher  # heavy: the client and polars
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
    publisher = KafkaPublisher(places.bootstrap, f"hub-compare-{context.declaration.code}") if said else None
    wanted = Repair(allow_gone, said, publisher) if repair else None
    engine = warehouse(settings, places, "hub connect compare")
    try:
        with _progress(quiet=as_json) as tell:
            ways = Ways(CatchUp(places.bootstrap, settle_s), tell, source_keys)
            for attempt in SHORT_COMMAND.retrying():
                with attempt:
                    done = compare_source(context, engine, places, ways, subjects, wanted)
    finally:
        if publisher is not None:
            publisher.close()
    done.not_compared = left
    if as_json:
        say_json(done.as_json(limit) | {"executed": execute})
    else:
        print_comparison(done, limit, executed=execute)
    return 0 if done.is_equal else 1


@contextmanager
def _progress(quiet: bool) -> Iterator["_Progress"]:
    progress = _Progress(Screen(stderr=True), quiet or not sys.stderr.isatty())
    try:
        yield progress
    finally:
        progress.stop()


class _Progress:
    """One line that shows what is being done and how far it is."""

    def __init__(self, console: Screen, is_quiet: bool) -> None:
        self._status = None if is_quiet else console.status("comparing")
        if self._status:
            self._status.start()

    def stop(self) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if self._status:
            self._status.update(f"{what}: {done:,}" + (f" of {total:,}" if total is not None else ""))
