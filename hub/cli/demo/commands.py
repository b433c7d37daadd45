"""``hub demo``: midnight in Ninh Bình, end to end on its own engine."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from hub.cli.demo.view import render
from hub.cli.shared.options import json_option
from hub.cli.shared.screen import WIDTH, Screen, say_json, styled
from hub.config import load_settings
from hub.demo.acts import Ended, Options, run_demo
from hub.demo.report import report_object

_NOT_BALANCED = 1
_TERMINATED = 143


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("demo")(demo)


_Folder = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder of the demo's own engine, wiped at the start.", show_default="<HUB_DATA_DIR>/demo"
    ),
]


def demo(
    scale: Annotated[
        float, typer.Option(min=0.005, max=100.0, help="1: 30,000 citizens and 6,000 dossiers; 0.02: a small try.")
    ] = 1.0,
    as_json: Annotated[bool, json_option("Print one JSON object; progress goes to stderr.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the system running, to look around.")] = False,
    operator: Annotated[
        bool, typer.Option("--operator", help="With a second act: a bad mapping is found, replayed and corrected.")
    ] = False,
    data_dir: _Folder = None,
) -> None:
    """Play "midnight in Ninh Bình": five source databases, Kafka, the worker, the warehouse, the portal's topics.

    Invented people and dossiers (hồ sơ) of three provinces go through the reform of 1 July 2025: three old systems end,
    a new one takes over, PostgreSQL is stopped, a worker is killed, bad records arrive. At the end the demo shows the
    outcome of every record.

    Exit code 0 if the ledger is balanced and the portal shows what the warehouse holds (and, with --operator,
    everything is corrected), else 1.

    **Examples**

    - `hub demo` — the whole story, about a minute
    - `hub demo --scale 0.05 --json` — a small one, for scripts
    - `hub demo --keep` — and leave it running
    - `hub demo --operator --scale 0.2` — and the operator's night after it
    """
    folder = (data_dir or load_settings().data_dir / "demo").expanduser().resolve()
    signal.signal(signal.SIGTERM, _end)
    ended = run_demo(
        load_settings({"data_dir": folder}),
        Options(scale, keep, operator),
        _progress(Screen(stderr=as_json, soft_wrap=True)),
    )
    _show(ended, folder, as_json)
    act = ended.report.operator
    if not (ended.report.is_balanced and ended.report.is_portal_equal and (act is None or act.is_mended)):
        raise typer.Exit(_NOT_BALANCED)


def _show(ended: Ended, folder: Path, as_json: bool) -> None:
    if as_json:
        say_json(report_object(ended.report))
    else:
        _wide(Screen()).print(render(ended.report))
    if ended.kept:
        _tell_what_runs(Screen(stderr=as_json), folder, ended)


def _wide(console: Console) -> Console:
    """Give a file or pipe the width that the account needs; a terminal keeps its own."""
    return console if console.is_terminal else Screen(width=WIDTH)


def _progress(console: Console) -> Callable[[str], None]:
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(styled("[dim]{:6.1f} s[/dim]  {}", time.monotonic() - began, text))

    return say


def _tell_what_runs(console: Console, folder: Path, ended: Ended) -> None:
    processes = " ".join(map(str, ended.kept))
    console.print(styled("\n[bold]Everything still runs.[/bold] To look around:"))
    for command in ("hub ledger", "hub portal tail", "hub status"):
        console.print(f"  HUB_DATA_DIR={folder} {command}", soft_wrap=True)
    console.print("To stop the worker, share and then the engine (the next demo does the same):")
    console.print(f"  kill {processes}; hub down --data-dir {folder}", soft_wrap=True)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
