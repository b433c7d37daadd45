"""Operators' habits: examples in each help, --json where there is output, a plan first; views of 100 columns."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
import typer
from rich.console import Console, RenderableType

from hub.cli.app import build_app
from hub.cli.ledger.view import lag_table, ledger_table, positions_table
from hub.cli.log.archive import files_table, plan_table
from hub.cli.log.offsets import offsets_table
from hub.cli.log.topics import drift_table, topics_table
from hub.cli.trace.view import trace_view
from hub.log.places import Place
from hub.model.outcomes import Outcome
from hub.operate.archive.files import Manifest
from hub.operate.archive.plan import ArchiveStretch
from hub.operate.ledger.balance import LedgerRow
from hub.operate.log.ends import LogEnd
from hub.operate.log.offsets import StoredOffset
from hub.operate.log.topics import Drift, TopicPlan, TopicState
from hub.operate.records.history import Event
from hub.operate.trace.hops import Effect, Passage, Trace
from hub.operate.trace.portal import Published
from hub.topology import topics

WIDTH = 100
RUNS_UNTIL_STOPPED = {"hub worker", "hub connect run", "hub schemas serve"}
"""Their output is their log."""

WRITE_A_FILE = {"hub audit prove"}
"""Their output is a file of JSON."""

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
LONGEST = "hub.health_insurance.linked.v1"


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, found in getattr(command, "commands", {}).items():
        if getattr(found, "invoke_without_command", False):
            yield " ".join((*path, name)), found
        if getattr(found, "commands", None):
            yield from _commands(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


APP = typer.main.get_command(build_app())
COMMANDS = dict(_commands(APP, ("hub",)))


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_name_the_command(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert "**Examples**" in text
    assert f"`{name}" in text.replace("HUB_", "") or f" {name}" in text or f"{name}`" in text


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - RUNS_UNTIL_STOPPED - WRITE_A_FILE))
def test_commands_with_output_have_json(name: str) -> None:
    assert "--json" in _options(COMMANDS[name])


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if "--execute" in _options(command)])
def test_commands_that_change_something_do_nothing_until_told_to(name: str) -> None:
    (option,) = [one for one in COMMANDS[name].params if "--execute" in one.opts]
    assert option.default is False
    said = (option.help or "") + (COMMANDS[name].help or "")
    assert any(
        word in said for word in ("plan", "without this", "Without `--execute`", "until `--execute`", "`--execute`")
    )


def test_exit_codes_stand_in_the_help() -> None:
    assert "0 ok, 1 failure, 2 bad input or configuration, 3 environment unreachable, 130/143" in (APP.help or "")


def _lines(view: RenderableType, width: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(view)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _words(lines: list[str]) -> str:
    return "".join("".join(lines).split())


def _ledger_rows() -> list[LedgerRow]:
    counts = dict.fromkeys(Outcome, 0) | {Outcome.APPLIED: 9_123_456, Outcome.STALE: 876_543, Outcome.PARKED: 1}
    return [LedgerRow(LONGEST, 12, 0, 10_000_000, 10_000_000, counts), LedgerRow(LONGEST, 0, 0, 5, 5, counts)]


def _trace() -> Trace:
    place = Place(LONGEST, 12, 12_345_678)
    event = Event(
        place=place,
        key=UUID(int=7),
        aspect="insurance",
        outcome=Outcome.SUPERSEDED,
        reason="REFERENCE_MISSING",
        source="ninhbinh.dungchung",
        epoch=1,
        version=3,
        occurred_at=NOW,
        event_id=UUID(int=8),
        content_hash=1,
        batch=1,
        recorded_at=NOW + timedelta(hours=3),
        policy_digest="x",
        parked_at=NOW + timedelta(seconds=3),
    )
    effects = (Effect("conflict about full_name (ninhbinh.dungchung)", "C123456", True),)
    published = Published("hub.citizen.record.v1", 12, 12_345_678, NOW + timedelta(hours=4), False)
    passages = [
        Passage(event, NOW + timedelta(seconds=1), None, effects, published, ("replay 3 (SWITCHED)",)),
        Passage(event, None, "procedure:1.001193", (), None, ()),
    ]
    return Trace("citizen", UUID(int=7), tuple(passages), ("a note",))


END = LogEnd(1_000_000, 12_345_678, NOW - timedelta(days=3))
MANIFEST = Manifest(LONGEST, 12, 10_000_000, 10_500_000, 500_000, 99_000_000, "a", "b", 1, 2, {"1001": 1}, "now")
STATE = TopicState(LONGEST, 12, 3, {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "16777216"})
VIEWS = {
    "ledger": ledger_table(_ledger_rows()),
    "positions": positions_table(_ledger_rows(), {(LONGEST, 12): END}, NOW),
    "lag": lag_table(_ledger_rows(), {(LONGEST, 12): END}, NOW),
    "trace": trace_view(_trace(), 0),
    "offsets": offsets_table([StoredOffset(LONGEST, 12, 10_000_000, 10_000_000, END)]),
    "topics": topics_table(topics(12), {LONGEST: STATE}),
    "drift": drift_table(TopicPlan((), (), (Drift(LONGEST, "min.insync.replicas", "1", "2", "more than it has"),))),
    "archive plan": plan_table([ArchiveStretch(LONGEST, 12, 10_000_000, 10_500_000, 1, 12_345_678, 12_000_000)]),
    "archive files": files_table([MANIFEST]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_fits_100_columns_without_losing_anything(name: str) -> None:
    narrow = _lines(VIEWS[name], WIDTH)
    assert max(map(len, narrow)) <= WIDTH
    assert "…" not in _words(narrow)
    for word in _words_of_cells(_lines(VIEWS[name], 400)):
        assert word in _words(narrow), word


def _words_of_cells(lines: list[str]) -> set[str]:
    """Whole words that a wide rendering shows: a narrow one may fold cells, not drop their digits."""
    return {word for line in lines for word in line.split() if word.replace(",", "").replace("@", "").isdigit()}
