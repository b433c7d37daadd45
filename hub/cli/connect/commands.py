"""Commands of the group `connect`: run a source's connector, check its declaration, show its positions."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated

import typer
from rich.table import Table

from connectors.declared.declaration import Declaration
from connectors.declared.load import load_declaration
from connectors.memory.compared import ComparisonStore, LastComparison
from connectors.memory.readings import FullReading, with_epoch
from connectors.memory.state import StreamState
from connectors.opening import connectors_of, open_context
from connectors.running.run import RunOptions, StreamCounts, run
from connectors.streams.context import Context
from hub.cli.connect.check import OFFLINE_SECRET, check_command
from hub.cli.connect.compare import compare_command
from hub.cli.connect.options import Declared
from hub.cli.connect.position_text import position_text, shown_position
from hub.cli.connect.rejects import rejects_command
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, reason_option
from hub.cli.shared.progress import progress_line
from hub.cli.shared.screen import Screen, plain, say_json
from hub.config import load_settings
from hub.embedded.locate import kafka_endpoints
from hub.model.errors import ConfigError
from hub.retry import SHORT_COMMAND


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "Sources (hệ thống nguồn): run a connector, check it, compare, show positions."
    add_group(app, "connect", told, run_command, check_command, compare_command, status_command, rejects_command)


_REPEATED = (
    "a row that is read twice, because readings overlap or after a restart, counts twice: so it can be more than the "
    "source has rows; the hub counts the second as a duplicate"
)
_COUNTED = (
    "published: events of all runs, repeated ones counted each time; lack a value, rejects: rows now; " + _REPEATED
)
ONCE_PATIENCE_S = 60.0
"""How many seconds ``--once`` waits for transactions of the source that were open when it began."""


def run_command(
    declaration: Declared,
    once: Annotated[bool, typer.Option("--once", help="End as soon as the source has nothing new.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="First forget the position: read everything again, under a new epoch.")
    ] = False,
    reason: Annotated[str | None, reason_option("--again")] = None,
    as_json: AsJson = False,
) -> int:
    """Publish a source's (hệ thống nguồn) rows as events (sự kiện): first all that it holds, then what changes.

    The position (vị trí đọc) moves only after the broker has confirmed. A row that cannot become an event goes to the
    connector's table of rejects (dòng chưa ánh xạ được), and the run continues. If the source or the broker is
    unreachable, the run retries until it answers. It needs HUB_KAFKA_BOOTSTRAP and HUB_KEY_SECRET; HUB_DATABASE_URL
    only if a comparison by schedule is declared.

    `--again` is for a mapping that was wrong (docs/mapping-was-wrong.md): what is read under the new epoch counts as
    newer than everything said before. Give it once; the epoch stays, and later runs continue where this one ended.

    **Examples**

    `hub connect run hanam.toml`  run until stopped

    `hub connect run hanam.toml --once --json`  catch up and print the counts

    `hub connect run hanam.toml --again --reason "status 4 was mapped wrongly"`
    """
    from connectors.running.heartbeat import beating
    from connectors.running.publisher import KafkaPublisher  # heavy: only a run needs the client and polars
    from hub.cli.connect.compare_schedule import compared_by_schedule

    if again != bool((reason or "").strip()):
        raise ConfigError(
            ["--again needs --reason: why everything is read again" if again else "--reason needs --again"]
        )
    settings = load_settings()
    where = kafka_endpoints(settings)
    context = open_context(load_declaration(declaration), where.key_secret, os.environ)
    if again:
        _begin_again(context, reason or "")
    publisher = KafkaPublisher(where.bootstrap, f"hub-connect-{context.declaration.code}")
    with _stopping() as (stop, signals), progress_line("reading", quiet=as_json) as show:
        tell, poll_s = (lambda counts: show(_far(counts))), context.declaration.poll_s
        options = RunOptions(once=once, patience_s=ONCE_PATIENCE_S, poll_s=poll_s, stop=stop, progress=tell)
        name = f"{context.declaration.code}/{declaration.name}"
        with (
            compared_by_schedule(declaration, settings, where, once),
            beating(where.bootstrap, name, len(context.declaration.streams), options.pulse),
        ):
            counts = run(connectors_of(context), publisher, options)
    print_counts(context.declaration.code, counts, as_json)
    return 128 + signals[0] if signals else 0


def _begin_again(context: Context, reason: str) -> None:
    streams, epoch = [one.name for one in context.declaration.streams], context.declaration.epoch
    reading = SHORT_COMMAND.retrying()(context.state.read_again, streams, epoch, reason.strip())
    Screen(stderr=True).print(plain(f"everything is read again, under epoch {reading.epoch}"))


def status_command(declaration: Declared, as_json: AsJson = False) -> int:
    """Show what a connector has published, how far it has read (vị trí đọc), what it waits for, its rejects by reason.

    How many rows were published without an optional value stands beside them (`hub connect rejects` shows these, too).

    **Examples**

    `hub connect status hanam.toml --json`
    """
    with closing(open_context(load_declaration(declaration), OFFLINE_SECRET, os.environ)) as context:
        for attempt in SHORT_COMMAND.retrying():
            with attempt:
                states, compared = context.state.summary(), ComparisonStore(context.state).last()
                reading = context.state.full_reading()
    print_states(context.declaration, states, as_json, compared, reading)
    return 0


def print_counts(source: str, counts: Sequence[StreamCounts], as_json: bool) -> None:
    """Print what a run did."""
    if as_json:
        say_json(
            {
                "source": source,
                "published": sum(stream.published for stream in counts),
                "rejected": sum(stream.rejected for stream in counts),
                "dropped": sum(stream.dropped for stream in counts),
                "streams": [
                    {
                        "stream": stream.name,
                        "published": stream.published,
                        "rejected": stream.rejected,
                        "dropped": stream.dropped,
                        "position": shown_position(stream.position),
                    }
                    for stream in counts
                ],
            }
        )
        return
    table = Table("stream", "published", "lack a value", "rejected", "position", title=f"{source}, this run")
    table.title_justify = "left"
    for stream in counts:
        numbers = (f"{number:,}" for number in (stream.published, stream.dropped, stream.rejected))
        table.add_row(stream.name, *numbers, plain(position_text(stream.position)))
    Screen().print(table)
    Screen().print(f"published: events of this run; {_REPEATED}")
    if any(stream.dropped for stream in counts):
        Screen().print("lack a value: published without an optional value; `hub connect rejects` shows which and why")


def print_states(
    declaration: Declaration,
    states: Sequence[StreamState],
    as_json: bool,
    compared: LastComparison | None = None,
    reading: FullReading | None = None,
) -> None:
    """Print how far a source's streams are read, its epoch, and the result of its last comparison by schedule."""
    source, epoch = declaration.code, with_epoch(declaration, reading).epoch
    if as_json:
        times = [{"at": _time(state.at), "waits_since": _time(state.waits_since)} for state in states]
        streams = [
            {**asdict(state), "position": shown_position(state.position), **at}
            for state, at in zip(states, times, strict=True)
        ]
        again = reading and {"epoch": reading.epoch, "reason": reading.reason, "at": _time(reading.at)}
        more = {"compared": compared and compared.as_json(), "epoch": epoch, "read_again": again}
        say_json({"source": source, "streams": streams, **more})
        return
    headings = ("stream", "published", "lack a value", "rejects", "position", "as of")
    table = Table(*headings, title=source, title_justify="left")
    for state in states:
        rejects = ", ".join(f"{reason} {count}" for reason, count in state.rejects.items()) or "0"
        position = plain(position_text(state.position))
        table.add_row(state.stream, f"{state.published:,}", f"{state.dropped:,}", rejects, position, _time(state.at))
    console = Screen(soft_wrap=True)
    console.print(table)
    if states:
        console.print(_COUNTED)
    for state in states:
        if state.waits_for:
            console.print(plain(f"{state.stream} waits since {_time(state.waits_since)}: {state.waits_for}"))
    if reading is not None:
        console.print(plain(f"epoch {epoch}; everything read again since {_time(reading.at)}: {reading.reason}"))
    if compared is not None:
        said = {None: "failed", True: "equal", False: "they differ"}[compared.equal]
        console.print(f"compared {_time(compared.at)}: {said} {json.dumps(compared.counts)} {compared.problem}")


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    # SQLite stores no time zone; times stored there are UTC
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")


@contextmanager
def _stopping() -> Iterator[tuple[threading.Event, list[int]]]:
    """Yield an event that SIGINT and SIGTERM set, and the signals received; the current page is finished first."""
    stop = threading.Event()
    signals: list[int] = []

    def ask(signal_number: int, _: FrameType | None) -> None:
        signals.append(signal_number)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _far(counts: StreamCounts) -> str:
    """Say how far a stream is."""
    more = f", {counts.dropped:,} lack a value" if counts.dropped else ""
    more += f", {counts.rejected:,} rejected" if counts.rejected else ""
    return f"{counts.name} ({counts.phase}): {counts.published:,} published{more}"
