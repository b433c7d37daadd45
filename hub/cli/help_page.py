"""The list of commands: which module has each, and the page of ``hub --help``.

Only the modules of the command that was typed are imported, and the page is printed without any: it imports neither
Typer nor anything else that takes long (tests/unit/cli/test_help_page.py).
"""

import os
import textwrap
from typing import NamedTuple

ABOUT = "Carry change events from provincial and national systems into one shared warehouse, and on to the portal."
EXIT_CODES = "Exit codes: 0 ok, 1 failure, 2 bad input or configuration, 3 environment unreachable, 130/143 on signals."
ENTITY_MODULE = "records.commands"
"""Adds ``hub ENTITY show`` for each entity that declares it."""
ENTITIES_SHOWN = ("citizen", "dossier", "procedure", "payment", "inspection")
"""The hub's own groups with ``show``, for the page; any other declared entity has one, too."""


class Entry(NamedTuple):
    """A command or group of commands: its name, its module under ``hub.cli``, and what it is for."""

    name: str
    module: str
    summary: str


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "See what happens",
        (
            Entry(
                "status", "processes.engine", "Servers, workers, shares and connectors: which run, which are missing."
            ),
            Entry("alerts", "processes.alerts", "What needs an operator."),
            Entry("ledger", "ledger.commands", "Does every consumed record have an outcome (sổ đối soát)?"),
            Entry("trace", "trace.commands", "Every hop of a dossier (hồ sơ), a person or an event, with times."),
            Entry("quality", "ledger.quality", "Doubts about what each source sent."),
            Entry("portal", "share.commands", "What the national portal reads."),
        ),
    ),
    (
        "Decide",
        (
            Entry("review", "desk.review", "Conflicts (mâu thuẫn dữ liệu) and reviews that wait for an officer."),
            Entry("policy", "desk.policy", "Who may speak of what, with which authority (chính sách nguồn)."),
            Entry("calendar", "desk.calendar", "Working days (ngày làm việc), for deadlines."),
            Entry("operators", "desk.operators", "People who may approve what another person has prepared."),
        ),
    ),
    (
        "Mend",
        (
            Entry("deadletters", "dead_letters.commands", "Refused records: look, edit, send again, discard."),
            Entry("parked", "dead_letters.parked", "Records that wait for what they refer to."),
            Entry("partitions", "dead_letters.partitions", "Stopped partitions: why, and how they go on."),
            Entry("offsets", "log.offsets", "How far the hub has read the log; ranges that are lost."),
            Entry("replay", "replay.commands", "Read stored events again (phát lại), compare, make it live, go back."),
            Entry("processes", "processes.commands", "Forget a process that is gone for good."),
        ),
    ),
    (
        "Join as a source (hệ thống nguồn)",
        (
            Entry("connect", "connect.commands", "Check a source, run its connector, compare, show rejects."),
            Entry("schemas", "schemas", "The schemas of events and records: check, show, publish."),
            Entry("units", "units.commands", "Administrative units (đơn vị hành chính) over time."),
            Entry("procedures", "units.procedures", "The catalogue of procedures (thủ tục hành chính): load."),
        ),
    ),
    (
        "Prove",
        (
            Entry("audit", "evidence.commands", "Seals (dấu niêm phong), signed heads, proofs; search the audit log."),
            Entry("archive", "log.archive", "Old stretches of the event topics, as Parquet files."),
        ),
    ),
    (
        "Run the hub",
        (
            Entry("demo", "demo.commands", 'Play "midnight in Ninh Bình" from end to end.'),
            Entry("up", "processes.engine", "Start the embedded Kafka and PostgreSQL."),
            Entry("down", "processes.engine", "Stop them; their data stays."),
            Entry("worker", "processes.worker", "Bring events from Kafka into the warehouse, until stopped."),
            Entry("share", "share.commands", "Publish golden records (bản ghi chuẩn) to their topics, until stopped."),
            Entry("topics", "log.topics", "The topics of the hub: create, check."),
            Entry("db", "processes.worker", "The warehouse's tables: create or complete them."),
            Entry("config", "processes.settings", "Every setting: its variable, its value now, its purpose."),
        ),
    ),
)

MODULES = {entry.name: entry.module for _, entries in SECTIONS for entry in entries}
"""The module of each command or group."""


def help_page(width: int | None = None) -> str:
    """Return the page of ``hub --help``, as plain text of so many columns (default: the terminal's, at most 100)."""
    columns = width or _columns()
    name_width = max(len(name) for name in MODULES) + 4
    lines = ["", "Usage: hub COMMAND [OPTIONS]        hub COMMAND --help tells more, with examples", ""]
    lines += [*textwrap.wrap(ABOUT, columns), ""]
    for title, entries in SECTIONS:
        lines.append(title)
        for entry in entries:
            lines += _row(entry.name, entry.summary, name_width, columns)
        lines.append("")
    lines.append("Show one record, with its claims (dữ liệu theo nguồn) and its history")
    groups = ", ".join(ENTITIES_SHOWN)
    lines += _row("ENTITY show", f"ENTITY is {groups}, or another that is declared.", name_width, columns)
    lines += ["", "Options"]
    lines += _row("--version", "Print the version and end.", name_width, columns)
    lines += _row("--install-completion, --show-completion", "", name_width, columns)
    lines += _row("", "Let the shell complete commands; or print how it would.", name_width, columns)
    lines += ["", *textwrap.wrap(EXIT_CODES, columns)]
    return "\n".join(lines)


def _columns() -> int:
    """Return the terminal's width, at most 100; 80 if there is no terminal."""
    try:
        return max(40, min(os.get_terminal_size(1).columns, 100))
    except OSError:
        return 80


def _row(name: str, summary: str, name_width: int, columns: int) -> list[str]:
    first = f"  {name}".ljust(name_width)
    return textwrap.wrap(summary, columns, initial_indent=first, subsequent_indent=" " * name_width) or [first]
