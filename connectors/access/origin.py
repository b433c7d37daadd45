"""Which server a position was taken from, and whether that server still holds what was read.

A server that was restored from a copy gives the same transaction ids a second time; so does a standby that was promoted
before it had everything. Rows that such a server writes may then lie below the position. A position therefore stores
the server's timeline, its start time and the length of its log. It also stores witnesses: keys of rows that were read,
each with the transaction that wrote the row. If the server is another one, or its log is shorter than before, the
witnesses are checked. Everything above the newest unchanged witness is read again; if no witness is unchanged, the
whole table is.
"""

import heapq
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, literal_column, select, text
from sqlalchemy.types import NullType

from connectors.access.source import SourceTable
from connectors.base.port import JsonValue, Position
from connectors.faults import translated

SERVER, WITNESSES, STEPPED_BACK = "server", "witnesses", "stepped_back"
EVERYTHING = -1
"""Used in place of a transaction id: no witness is unchanged."""

_ROUND = 2**32
_NEWEST, _OLDEST = 8, 4
"""How many witnesses are kept: of the newest rows, and of those read before them."""

_log = logging.getLogger(__name__)

_SERVER = text(
    """SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
              extract(epoch FROM pg_postmaster_start_time())::text,
              (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
                - '0/0'::pg_lsn)::bigint"""
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it answers now: its timeline, its start time, the length of its log in bytes."""

    timeline: str
    started: str
    log_bytes: int

    def kept(self) -> dict[str, JsonValue]:
        """Return what a position stores of it."""
        return {"timeline": self.timeline, "started": self.started, "log_bytes": self.log_bytes}

    def follows(self, kept: Mapping[str, JsonValue]) -> bool:
        """Tell whether this is the same run of the same server, and its log is not shorter than before."""
        before = kept.get("log_bytes")
        is_same = (kept.get("timeline"), kept.get("started")) == (self.timeline, self.started)
        return is_same and isinstance(before, int) and before <= self.log_bytes


class Origin:
    """Watches the server of one stream's table on PostgreSQL."""

    def __init__(self, table: SourceTable) -> None:
        self._table = table
        self._met: dict[str, int] = {}

    def writer(self) -> ColumnElement[int]:
        """Return the transaction that wrote a row: 64 bits from the declared column, else the 32 bits of ``xmin``."""
        name = self._table.stream.txid
        if name is None:
            return cast(cast(literal_column("xmin"), Text), BigInteger)
        column = self._table.table.c[name]
        return cast(cast(column, Text), BigInteger) if isinstance(column.type, NullType) else column

    def begun(self) -> dict[str, JsonValue]:
        """Return what a new position stores of the server."""
        self._met = {}
        return {SERVER: self._server().kept()}

    def restarted(self, position: Position) -> bool:
        """Tell whether a first full read began on another server, or on an earlier run of this one."""
        kept = position.get(SERVER)
        return isinstance(kept, dict) and not self._server().follows(kept)

    def reached(self, position: Position) -> tuple[int | None, dict[str, JsonValue]]:
        """Return from which transaction to read on, and what positions store from now on.

        The transaction is None if the position is still right, ``EVERYTHING``, or the last one whose rows are surely
        there.
        """
        server, kept = self._server(), position.get(SERVER)
        said: dict[str, JsonValue] = {SERVER: server.kept(), WITNESSES: position.get(WITNESSES) or []}
        if isinstance(stepped_back := position.get(STEPPED_BACK), dict):
            said[STEPPED_BACK] = stepped_back
        if not isinstance(kept, dict) or server.follows(kept):
            return None, said
        found, is_lost = self._intact(position)
        if found is not None and not is_lost:
            return found, said
        how = "the whole table" if found is None else f"what was written after transaction {found}"
        _log.warning(
            "%s: the server was restarted and differs from the one that was read: it may have been restored from a"
            " copy. %s is read again; if it is a copy, compare the source with the warehouse",
            self._table.what,
            how[0].upper() + how[1:],
        )
        said[STEPPED_BACK] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "read_again": how}
        return EVERYTHING if found is None else found, said

    def meet(self, rows: Sequence[Sequence[Any]], writers: Iterable[int], high: int) -> None:
        """Remember the newest rows of a page. ``high`` is an id above every writer's."""
        written = ((high - (high - int(writer)) % _ROUND, place) for place, writer in enumerate(writers))
        for number, place in heapq.nlargest(_NEWEST, written):
            key = self._table.place(rows[place])
            if None not in key:  # a row without a key cannot be looked up
                self._met[json.dumps(key)] = number

    def witnesses(self, before: object) -> list[JsonValue]:
        """Return the witnesses after a window: the newest rows of the window and of what was read before it."""
        known = dict(_pairs(before)) | self._met
        self._met = {}
        in_order = sorted(known.items(), key=lambda pair: -pair[1])
        chosen = in_order[:_NEWEST] + in_order[_NEWEST:][-_OLDEST:]
        return [[json.loads(key), number] for key, number in chosen]

    def witnesses_of_all(self, low: int) -> list[JsonValue]:
        """Return the witnesses after a first full read: the newest rows of the table below transaction ``low``."""
        age = (low % _ROUND - self.writer() % _ROUND + _ROUND) % _ROUND
        newest = (
            select(*self._table.columns[: len(self._table.key)], self.writer())
            .where(age > 0)
            .order_by(age)
            .limit(_NEWEST + _OLDEST)
        )
        with translated(self._table.what), self._table.engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(newest)]
        self.meet(rows, [row[-1] for row in rows], low)
        return self.witnesses([])

    def _server(self) -> Server:
        with translated(self._table.what), self._table.engine.connect() as connection:
            timeline, started, log_bytes = connection.execute(_SERVER).one()
        return Server(str(timeline), str(started), int(log_bytes or 0))

    def _intact(self, position: Position) -> tuple[int | None, bool]:
        """Return the transaction of the newest unchanged witness, and whether a newer witness was lost.

        A witness that was overwritten since is not lost. It is lost if its row is gone or was written by an earlier
        transaction.
        """
        low, is_lost = position["low"], False
        for key, number in sorted(_pairs(position.get(WITNESSES)), key=lambda pair: -pair[1]):
            statement = select(self.writer()).where(self._table.at(json.loads(key)))
            with translated(self._table.what), self._table.engine.connect() as connection:
                found = connection.execute(statement).scalars().first()
            if found is not None and int(found) % _ROUND == number % _ROUND:
                return number, is_lost
            is_later = found is not None and isinstance(low, int) and (int(found) - low) % _ROUND < _ROUND // 2
            is_lost = is_lost or not is_later
        return None, True


def _pairs(witnesses: object) -> list[tuple[str, int]]:
    """Return the witnesses of a position: each key as JSON text, with its transaction."""
    return [(json.dumps(key), number) for key, number in witnesses] if isinstance(witnesses, list) else []
