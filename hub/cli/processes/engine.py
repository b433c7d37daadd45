"""Commands of the embedded engine: ``hub up``, ``hub down``; and ``hub status``, which also shows the processes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from hub.cli.processes.commands import print_processes, processes_json, say_out_of_order
from hub.cli.shared.context import warehouse
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, say, say_json, styled
from hub.config import Settings, limits_of, load_settings
from hub.embedded.engine import Engine, EngineStatus
from hub.embedded.locate import POSTGRES, embedded_parts, endpoints
from hub.model.errors import ConfigError, UnreachableError
from hub.operate.processes import Processes, look_at_processes

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", envvar="HUB_DATA_DIR", help="Folder of the engine: data, logs, secrets.", show_default=".hub"
    ),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)


def up(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Start the embedded Kafka and PostgreSQL, or find running ones, and wait until both answer.

    They keep running when the command returns; `hub down` stops them. If HUB_KAFKA_BOOTSTRAP or HUB_DATABASE_URL names
    another server, that one is not started. The first start downloads Kafka (44 MB, once per user) and takes longer.

    **Examples**

    `hub up` — start both in `.hub`

    `hub up --data-dir /srv/hub --json` — in another folder, and print where they are
    """
    settings = load_settings({"data_dir": data_dir})
    engine = Engine(settings)
    with progress_lines() as progress:
        engine.up(progress)
    shown = engine.status()
    if as_json:
        say_json(status_object(shown))
        return
    if not embedded_parts(settings):
        Screen().print(
            "nothing to start: Kafka and PostgreSQL are elsewhere, by HUB_KAFKA_BOOTSTRAP and HUB_DATABASE_URL"
        )
    _print_status(shown)


def down(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop the embedded Kafka and PostgreSQL cleanly; their data stays.

    **Examples**

    `hub down` — stop what `hub up` started

    `hub down --json` — and print which servers ran
    """
    engine = Engine(load_settings({"data_dir": data_dir}))
    with progress_lines() as progress:
        stopped = engine.down(progress)
    if as_json:
        say_json({"stopped": list(stopped)})
    elif stopped:
        Screen().print(f"stopped: {', '.join(stopped)}")
    else:
        Screen().print("nothing was running")


def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show where Kafka and PostgreSQL are, and every worker, share and connector: since when, what, how far behind.

    Exit code 3 if a server does not answer; 1 if a process is gone, makes no progress or is far behind, or if an alert
    is open that cannot wait. A process that ended in order does not count as gone; but if it was the last worker or
    the last share, and none runs for HUB_GONE_AFTER_S, that is 1, too.

    **Examples**

    `hub status` — tables

    `hub status --json` — for scripts
    """
    settings = load_settings({"data_dir": data_dir})
    shown = Engine(settings).status()
    silent = [part.name for part in shown.parts if not part.answers]
    processes = _processes(settings, silent) if shown.is_anything_running else Processes()
    if as_json:
        say_json(status_object(shown) | processes_json(processes))
    elif shown.is_anything_running:
        _print_status(shown)
        print_processes(Screen(), processes)
        say_out_of_order(Screen(), processes)
        for alert in processes.pages:
            Screen().print(styled("[red]{}[/red]: `hub alerts list`", alert), soft_wrap=True)
    if not shown.is_anything_running:
        raise UnreachableError("nothing is running; start it with `hub up`")
    if silent:
        raise UnreachableError(f"no answer from {' and '.join(silent)}; `hub up` starts the missing ones")
    if processes.need_attention or processes.pages:
        raise typer.Exit(1)


def _processes(settings: Settings, silent: list[str]) -> Processes:
    if POSTGRES in silent:
        return Processes(unknown="PostgreSQL does not answer")
    try:
        places = endpoints(settings)
        return look_at_processes(warehouse(settings, places, "hub status"), limits_of(settings))
    except (ConfigError, UnreachableError) as error:
        return Processes(unknown=error.message)


def status_object(status: EngineStatus) -> dict[str, object]:
    """Return the status as what ``--json`` prints."""
    return {
        "data_dir": str(status.data_dir),
        "healthy": status.is_healthy,
        "parts": [
            {
                "name": part.name,
                "embedded": part.is_embedded,
                "running": part.is_running,
                "answers": part.answers,
                "url": part.url,
                "pid": part.pid,
            }
            for part in status.parts
        ],
    }


@contextmanager
def progress_lines() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows progress on standard error: one changing line on a terminal, else one line each."""
    console = Screen(stderr=True)
    if not console.is_terminal:
        said: set[str] = set()
        lock = threading.Lock()

        def say_once(text: str) -> None:
            with lock:
                if text not in said:
                    said.add(text)
                    say(text, error=True)

        yield say_once
        return
    with console.status("looking") as line:
        yield line.update


def _print_status(status: EngineStatus) -> None:
    table = Table("part", "where", "state", Column("address", overflow="fold"), "pid", box=None)
    for part in status.parts:
        state: str | Text = styled("[green]answers[/green]") if part.answers else styled("[red]does not answer[/red]")
        if part.is_embedded and not part.is_running:
            state = "stopped"
        where = "embedded" if part.is_embedded else "elsewhere"
        table.add_row(part.name, where, state, part.url or "", str(part.pid or ""))
    console = Screen()
    console.print(table)
    console.print(f"data and logs: {status.data_dir}", soft_wrap=True)
