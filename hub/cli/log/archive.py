"""Commands of the archive: ``hub archive plan``, ``run``, ``list`` and ``verify``."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hub.cli.shared.context import located, opened, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, reason_option
from hub.cli.shared.progress import progress_bar
from hub.cli.shared.screen import Screen, say_json, screen, styled
from hub.config import load_settings
from hub.model.errors import ConfigError
from hub.topology import subject_of

if TYPE_CHECKING:
    from hub.operate.archive.files import Manifest
    from hub.operate.archive.plan import ArchiveStretch
    from hub.operate.archive.run import ArchiveRun, Deletion

_Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only this event topic; may be repeated.")]
_OlderThan = Annotated[
    float,
    typer.Option("--older-than", metavar="DAYS", help="Only records that were appended longer ago than this.", min=0),
]
_Delete = Annotated[
    bool, typer.Option("--delete-archived", help="Afterwards delete from the topics what the archive holds.")
]
_DAYS = 30.0


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    add_group(app, "archive", "Old stretches of the event topics, as Parquet files.", plan, run, list_files, verify)


def plan(older_than: _OlderThan = _DAYS, topic: _Topics = None, as_json: AsJson = False) -> None:
    """Show what would be archived from each event topic, and what could be deleted from it afterwards; writes nothing.

    **Examples**

    - `HUB_ARCHIVE_DIR=/srv/archive hub archive plan`
    - `hub archive plan --older-than 90 --topic hub.citizen.changed.v1 --json`
    """
    folder, stretches = _planned(older_than, topic)
    if as_json:
        say_json({"archive": str(folder), "stretches": [asdict(one) for one in stretches]})
        return
    _print_plan(stretches)


def run(
    older_than: _OlderThan = _DAYS,
    topic: _Topics = None,
    execute: Execute = False,
    delete_archived: _Delete = False,
    reason: Annotated[str | None, reason_option("--delete-archived")] = None,
    officer: Officer = None,
    as_json: AsJson = False,
) -> None:
    """Write old stretches of the event topics to the archive; prints the plan until `--execute`.

    Each file is read back before it counts. The command may be interrupted and repeated at any time. With
    `--delete-archived` the files are checked once more, and records are deleted from the topics up to where the archive
    holds them: never beyond the stored offset, nor beyond what an open replay still has to read.

    **Examples**

    - `hub archive run --older-than 90`
    - `hub archive run --older-than 90 --execute`
    - `hub archive run --execute --delete-archived --reason "quarterly clean-up" --officer H42-017`
    """
    from hub.operate.archive.run import DELETE, deletions, run_archive
    from hub.operate.archive.run import delete_archived as delete

    why = Asker(officer, reason).action(DELETE, "--delete-archived") if execute and delete_archived else None
    folder, stretches = _planned(older_than, topic)
    if not execute:
        plan(older_than, topic, as_json)
        return
    settings, places = located()
    with progress_bar("offsets archived") as progress:
        done = run_archive(places.bootstrap, folder, stretches, progress)
    of_topics = deletions(folder, stretches)
    if why is not None:
        engine = warehouse(settings, places, "hub archive")
        of_topics = delete(engine, places.bootstrap, folder, stretches, why)
    _print_done(done, of_topics, delete_archived, as_json)


def _print_done(done: "ArchiveRun", of_topics: "Sequence[Deletion]", is_deleted: bool, as_json: bool) -> None:
    """Print what was written, and what was deleted from the topics or could be."""
    if as_json:
        files = [asdict(of) for of in done.written]
        gone = [asdict(one) for one in of_topics] if is_deleted else []
        say_json({"written": files, "removed": done.removed, "deleted": gone})
        return
    console = screen()
    records = sum(of.records for of in done.written)
    console.print(f"{len(done.written)} files written, {records:,} records, {_mib(done.written)} MiB")
    for path in done.removed:
        console.print(f"removed what an interrupted run left: {path}", soft_wrap=True)
    offsets = sum(one.offsets for one in of_topics)
    if is_deleted:
        console.print(f"{offsets:,} offsets deleted from {len(of_topics)} partitions")
    elif offsets:
        console.print(f"the topics still hold {offsets:,} of the archived offsets (--delete-archived)")


def list_files(topic: Annotated[str | None, typer.Option("--topic")] = None, as_json: AsJson = False) -> None:
    """List the files of the archive by topic, partition and offset.

    **Examples**

    - `hub archive list`
    - `hub archive list --topic hub.citizen.changed.v1 --json`
    """
    from hub.operate.archive.files import read_manifests  # heavy: Parquet

    folder = _folder()
    manifests = read_manifests(folder, topic)
    if as_json:
        say_json({"archive": str(folder), "files": [asdict(of) for of in manifests]})
        return
    console = screen()
    console.print(files_table(manifests))
    console.print(f"{len(manifests)} files, {sum(of.records for of in manifests):,} records, {_mib(manifests)} MiB")


def verify(topic: Annotated[str | None, typer.Option("--topic")] = None, as_json: AsJson = False) -> None:
    """Read every file of the archive and compare it with its manifest; exit code 1 if one is damaged.

    **Examples**

    - `hub archive verify`
    - `hub archive verify --topic hub.citizen.changed.v1 --json`
    """
    from hub.operate.archive.run import verify_archive  # heavy: Parquet

    with progress_bar("records read") as progress:
        manifests, problems = verify_archive(_folder(), topic, progress)
    if as_json:
        say_json({"files": len(manifests), "problems": problems})
    else:
        console = screen()
        for problem in problems:
            console.print(styled("[red]{}[/red]", problem), soft_wrap=True)
        records = sum(of.records for of in manifests)
        console.print(f"{len(manifests)} files, {records:,} records: {len(problems) or 'no'} problems")
    if problems:
        raise typer.Exit(1)


def _folder() -> Path:
    folder = load_settings().archive_dir
    if folder is None:
        raise ConfigError(["HUB_ARCHIVE_DIR is not set: it names the folder of the archive"])
    return folder


def _planned(older_than: float, topics: list[str] | None) -> "tuple[Path, list[ArchiveStretch]]":
    from hub.operate.archive.plan import plan_archive  # heavy: the log's client, the tables

    folder = _folder()
    _, places, engine = opened("hub archive")
    with Screen(stderr=True).status("looking at the topics and the archive"):
        stretches = plan_archive(engine, places.bootstrap, folder, timedelta(days=older_than), topics or ())
    return folder, stretches


def _mib(manifests: "Sequence[Manifest]") -> str:
    return f"{sum(of.bytes for of in manifests) / 2**20:,.1f}"


def _print_plan(stretches: "Sequence[ArchiveStretch]") -> None:
    console = screen()
    console.print(plan_table([one for one in stretches if one.end > one.first or one.lost]))
    offsets = sum(one.end - one.first for one in stretches)
    console.print(f"{offsets:,} offsets would be archived; `hub archive run --execute` does it")
    lost = sum(one.lost for one in stretches)
    if lost:
        console.print(styled("[red]{:,} offsets are neither in the archive nor on the topics any more[/red]", lost))


def plan_table(stretches: "Sequence[ArchiveStretch]") -> Table:
    """Render what would be archived of each log partition."""
    table = Table(box=None, pad_edge=False)
    table.add_column("topic/partition", no_wrap=True, overflow="fold")
    for heading in ("log begins", "archive from", "to", "stored", "kept for a replay"):
        table.add_column(heading, justify="right")
    for one in stretches:
        numbers = (one.log_begin, one.first, one.end, one.stored)
        held = "-" if one.held_by is None else f"from {one.held_by:,}"
        table.add_row(f"{subject_of(one.topic)}/{one.partition}", *(f"{number:,}" for number in numbers), held)
    return table


def files_table(manifests: "Sequence[Manifest]") -> Table:
    """Render the files of an archive."""
    table = Table(box=None, pad_edge=False)
    table.add_column("topic/partition", no_wrap=True, overflow="fold")
    for heading in ("from", "to", "records", "MiB", "oldest (UTC)"):
        table.add_column(heading, justify="right")
    for of in manifests:
        oldest = "-" if of.oldest_ms is None else f"{datetime.fromtimestamp(of.oldest_ms / 1000, UTC):%Y-%m-%d %H:%M}"
        numbers = (f"{of.first:,}", f"{of.end:,}", f"{of.records:,}", f"{of.bytes / 2**20:.1f}")
        table.add_row(f"{subject_of(of.topic)}/{of.partition}", *numbers, oldest)
    return table
