"""What commands of replays share: the ground they work on, who acts and why, the progress they show."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub.cli.shared.context import opened
from hub.cli.shared.process_tuning import serve_evenly
from hub.cli.shared.screen import Screen

if TYPE_CHECKING:
    from hub.operate.replay.ground import Ground
    from hub.operate.replay.pipeline import Progress as Reading

Number = Annotated[int, typer.Argument(metavar="PLAN", help="Number of the replay; `hub replay list` shows them.")]


@contextmanager
def ground_of() -> Iterator["Ground"]:
    """Yield the ground of the settings' warehouse and log."""
    from hub.operate.replay.ground import Ground
    from hub.operate.replay.reading.whole_log import whole_log_reader
    from hub.warehouse.lost_offsets import read_lost

    settings, places, engine = opened("hub replay")
    try:
        yield Ground(
            engine,
            places.database_url,
            settings.database_schema,
            places.key_secret,
            whole_log_reader(places.bootstrap, settings.archive_dir, lambda: read_lost(engine)),
            settings.batch_rows,
            settings.decode_timeout_s,
            settings.decode_memory_mb,
        )
    finally:
        engine.dispose()


def say_how(as_json: bool, nothing: str, command: str) -> None:
    """Say, below what a command would do, that it has not been done, and which command does it."""
    if not as_json:
        Screen().print(f"{nothing}; `hub replay {command} --execute --reason TEXT` does it")


@contextmanager
def watched(what: str, quiet: bool) -> Iterator[Callable[["Reading"], None]]:
    """Let this process read a long log; show progress and the time left on stderr, if it is a terminal."""
    serve_evenly()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Screen(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=None, rate="")

        def watch(reading: "Reading") -> None:
            speed = progress.tasks[task].speed
            said = "paused" if reading.is_paused else f"{speed:,.0f}/s" if speed else ""
            progress.update(task, total=reading.total, completed=reading.read, rate=said)

        yield watch
