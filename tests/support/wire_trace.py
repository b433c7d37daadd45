"""What goes over a connection to PostgreSQL, counted by libpq's own trace: no layer above can hide it."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import Engine, event

_COMPLETE = re.compile(r'CommandComplete\s+"([A-Z ]+?)(?: \d+)??(?: (\d+))?"')
_WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "COPY", "MERGE"})


@dataclass(slots=True)
class Traffic:
    """What was counted.

    Fields:
        commands: commands the server has completed, by their first word.
        waits: how often the client waited for the server's answer: round trips.
        fetched: rows that came to the client.
        written: rows the server says it wrote, by command.
        sent, received: bytes of messages to the server and from it.
    """

    commands: Counter[str] = field(default_factory=Counter)
    waits: int = 0
    fetched: int = 0
    written: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    @property
    def statements(self) -> int:
        """Commands other than the transaction's own."""
        return self.commands.total() - self.commands["BEGIN"] - self.commands["COMMIT"]


@contextmanager
def traced(engine: Engine, file: Path) -> Iterator[Traffic]:
    """Count what the engine's connections do inside; the counts are there at the end of the context."""
    traffic = Traffic()
    with file.open("w+b") as trace:

        def begin(connection: psycopg.Connection[object], *_: object) -> None:
            connection.pgconn.trace(trace.fileno())

        def end(connection: psycopg.Connection[object], *_: object) -> None:
            connection.pgconn.untrace()

        event.listen(engine, "checkout", begin)
        event.listen(engine, "checkin", end)
        try:
            yield traffic
        finally:
            event.remove(engine, "checkout", begin)
            event.remove(engine, "checkin", end)
        _count(file.read_text("utf-8", "replace"), traffic)


def _count(trace: str, traffic: Traffic) -> None:
    for line in trace.splitlines():
        _, _, message = line.partition("\t")
        direction, _, rest = message.partition("\t")
        size = rest.partition("\t")[0]
        if size.isdigit() and direction == "F":
            traffic.sent += int(size)
        if direction != "B":
            continue
        traffic.received += int(size) if size.isdigit() else 0
        name = rest.partition("\t")[2].split("\t", 1)[0].split(" ", 1)[0].strip()
        if name == "ReadyForQuery" or name == "CopyInResponse":
            traffic.waits += 1
        elif name == "DataRow":
            traffic.fetched += 1
        elif name == "CommandComplete":
            found = _COMPLETE.search(rest)
            assert found is not None, rest
            command = found.group(1).split(" ", 1)[0]
            traffic.commands[command] += 1
            if command in _WRITING:
                traffic.written[command] += int(found.group(2) or 0)
