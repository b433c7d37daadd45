"""``hub connect check``: will a declaration run, and what will its rows become? Before anything is published."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from connectors.checks.check import Sample
from connectors.declared.load import load_declaration
from connectors.streams.context import Context
from hub.cli.connect.options import Declared
from hub.cli.connect.rejects import pairs
from hub.cli.shared.options import AsJson
from hub.cli.shared.progress import progress_line
from hub.cli.shared.screen import Screen, plain, say_json

if TYPE_CHECKING:
    from connectors.checks.every_row import StreamReport
    from hub.cli.connect.around import Around

_Offline = Annotated[
    bool, typer.Option("--offline", help="Check only against the schemas; do not connect to the source.")
]
_AllRows = Annotated[bool, typer.Option("--all", help="Map every row and sum up what a run would publish and reject.")]
_SourceValues = Annotated[
    bool, typer.Option("--source-values", help="With --all: show the values that fail; they may be personal.")
]
OFFLINE_SECRET = "checking only, nothing is published"  # noqa: S105 - keys made with it never leave the process


def check_command(
    declaration: Declared,
    offline: _Offline = False,
    all_rows: _AllRows = False,
    source_values: _SourceValues = False,
    as_json: AsJson = False,
) -> int:
    """Check a declaration against the schemas, the source (hệ thống nguồn) and the policy (chính sách nguồn).

    It shows how one row of each stream maps; personal values are masked. It lists every problem at once, with exit code
    2. Warnings say what in the source may put changes into a wrong order (coarse times, now(), ids taken ahead), and
    what to do; a warning is not a failure. If HUB_POLICY is set, it checks that the policy knows the source and lets it
    speak of these subjects. If a warehouse can be reached, it checks that the hub knows what the events refer to
    (procedures, units); if the hub does not know it, the events would be parked.

    It checks that the connector can write its state, and leaves nothing there.

    It names words that no word table has, with near words of the table (in the first 10,000 rows; with `--all` in all).

    `--all` maps every row and publishes nothing. It shows events, rejects (dòng chưa ánh xạ được) and values that are
    dropped or padded with zeros, by reason and field with up to three examples, flags, and missing references. Exit
    code 1 if there are rejects, or if the hub would refuse events. A dropped value costs its field, not the row.
    It counts things that have two or more rows of one version with other content, and names some rows by their keys:
    the hub takes one of the rows and asks an officer (VERSION_REUSED). Exit code 1, too.

    **Examples**

    `hub connect check hanam.toml`

    `hub connect check hanam.toml --all --json`

    `hub connect check hanam.toml --offline`  before the source can be reached
    """
    from hub.cli.connect.all_problems import check_everything

    loaded = load_declaration(declaration)
    environ = dict(os.environ)
    for variable in filter(None, (loaded.database.url_env, loaded.state.url_env)) if offline else ():
        environ.setdefault(variable, "sqlite://")
    checked_all = check_everything(loaded, OFFLINE_SECRET, environ, offline, looks_at_words=not all_rows)
    with closing(checked_all.context) as context:
        around, samples = checked_all.around, checked_all.samples
        reports: list[StreamReport] = []
        if all_rows and not offline:
            reports = _all_reports(context, around, source_values, as_json)
    told, of_hub = around.told(), _of_hub(around)
    if as_json:
        checked = [one.as_json() for one in reports]
        more = {"all": checked, **of_hub} if all_rows else {}
        say_json({"source": loaded.code, "samples": [asdict(one) for one in samples], **told, **more})
    else:
        print_samples(context, samples)
        print_around(told)
        print_reports(reports, of_hub)
    return 1 if any(one.problem for one in samples) or _is_refused(reports, of_hub) else 0


def _is_refused(reports: "Sequence[StreamReport]", of_hub: Mapping[str, Any]) -> bool:
    return any(one.rejects for one in reports) or bool(of_hub["refused"] or of_hub["two_of_one_version"])


def _of_hub(around: "Around") -> dict[str, Any]:
    return {"refused": around.refused(), "flags": around.flags(), "two_of_one_version": around.versions.found()}


def _all_reports(context: Context, around: "Around", unmask: bool, quiet: bool) -> "list[StreamReport]":
    from connectors.checks.every_row import StreamCheck

    reports = []
    for stream in context.declaration.streams:
        checking = StreamCheck(context, stream, unmask)
        with progress_line("mapping", quiet) as show:
            for records in checking.records():
                around.take(stream.subject, stream.name, records, checking.own_keys)
                show(f"{stream.name}: {checking.report.rows:,} rows mapped")
        checking.report.words = checking.words()
        reports.append(checking.report)
    return reports


def print_samples(context: Context, samples: Sequence[Sample]) -> None:
    """Print how rows map, or that the declaration fits."""
    source = context.declaration.code
    console = Screen(soft_wrap=True)
    console.print(f"{source}: the declaration fits the schemas, {len(context.declaration.streams)} streams")
    for one in samples:
        if one.problem:
            console.print()
            console.print(plain(f"{one.stream}: the first row would be a reject: {one.problem}"))
            print_warnings(console, one)
            continue
        table = Table("field", "value", title=f"{one.stream} -> {one.subject}", title_justify="left")
        for name, value in one.fields.items():
            table.add_row(name, plain(value))
        console.print()
        console.print(table if one.fields else f"{one.stream}: no row yet")
        for note in one.doubtful:
            console.print(plain(f"{one.stream}: the first row: {note}"))
        print_warnings(console, one)


def print_warnings(console: Screen, one: Sample) -> None:
    """Print what may go wrong with other rows of a stream, and what its connector does not see."""
    for warning in one.warnings:
        console.print(plain(f"{one.stream}: warning: {warning}"))
    for text in one.unseen:
        console.print(plain(f"{one.stream}: does not see {text}"))


def print_around(told: Mapping[str, Any]) -> None:
    """Print what the policy and the warehouse say."""
    console = Screen(soft_wrap=True)
    for line in (*told["policy"], *told["references"]):
        console.print(plain(line))


def print_reports(reports: "Sequence[StreamReport]", of_hub: Mapping[str, Any]) -> None:
    """Print what all rows would become; ``of_hub``: what the hub would refuse, flag, or ask an officer about."""
    from hub.cli.connect.one_version import named_rows, one_version_line

    console = Screen(soft_wrap=True)
    for one in reports:
        rejected = sum(one.rejects.values())
        console.print(plain(f"{one.stream}: {one.rows:,} rows, {one.events:,} events, {rejected:,} rejects"))
        if one.rejects:
            console.print("  rejects by the first problem of each row; a row may have more:")
        for (reason, detail), count in one.rejects.most_common():
            console.print(plain(f"  {reason} {detail}: {count:,}"))
            for example in one.examples[reason, detail]:
                console.print(plain(f"    row {pairs(example.key)}: {pairs(example.values)}"))
        _print_doubtful(console, one)
        for word in one.words:
            console.print(plain(f"  {word}"))
    for name, count in of_hub["refused"].items():
        console.print(plain(f"the hub would refuse {count:,}: {name}"))
    for subject, told in of_hub["two_of_one_version"].items():
        console.print(plain(one_version_line(subject, told["count"])))
        for rows in told["examples"]:
            console.print(plain(f"    rows {named_rows(rows)}"))
    for name, count in of_hub["flags"].items():
        console.print(plain(f"flag {name}: {count:,}"))


def _print_doubtful(console: Screen, report: "StreamReport") -> None:
    from connectors.checks.every_row import example_of

    always = report.always_dropped()
    for note, count in report.doubtful.most_common():
        every = ", of every event: look at the declaration (column, formats, number, pad)" if note in always else ""
        console.print(plain(f"  {note}: {count:,}{every}"))
        for example in report.examples.get(example_of(note), ()):
            console.print(plain(f"    row {pairs(example.key)}: {pairs(example.values)}"))
