"""The result of the last comparison by schedule, stored next to the connector's state."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Float, MetaData, String, Table, Text, delete, insert, select

from connectors.memory.state import StateStore


@dataclass(frozen=True, slots=True)
class LastComparison:
    """The result of the last comparison by schedule.

    Fields:
        at: when it ended. took_s: seconds it took. equal: whether nothing differed; None: it failed.
        counts: by subject, the number of keys of each kind. problem: why it failed, or what was not repaired.
    """

    at: datetime
    took_s: float
    equal: bool | None
    counts: Mapping[str, Mapping[str, int]]
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        told = {"took_s": round(self.took_s, 1), "equal": self.equal, "subjects": self.counts, "problem": self.problem}
        return {"at": self.at.isoformat(), **told}


class ComparisonStore:
    """Stores the last comparison of one source, in a table ``comparison`` next to the connector's other state."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._metadata = MetaData(schema=state.place.schema)
        self._table = Table(
            "comparison" if state.place.schema else "connector_comparison",
            self._metadata,
            Column("source", String(200), primary_key=True),
            Column("at", DateTime(timezone=True), nullable=False),
            Column("took_s", Float, nullable=False),
            Column("equal", Boolean),
            Column("counts", Text, nullable=False),
            Column("problem", Text, nullable=False),
        )

    def last(self) -> LastComparison | None:
        """Return the last comparison, None before the first; creates no table."""
        table = self._table
        with self._state.place.looked_at(table.name) as connection:
            if connection is None:
                return None
            row = connection.execute(select(table).where(table.c.source == self._state.source)).one_or_none()
        if row is None:
            return None
        at = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
        return LastComparison(at, row.took_s, row.equal, json.loads(row.counts), row.problem)

    def save(self, last: LastComparison) -> None:
        """Store a comparison; it replaces the one before."""
        table = self._table
        with self._state.place.begun() as connection:
            self._state.place.create(connection, self._metadata)
            connection.execute(delete(table).where(table.c.source == self._state.source))
            values = {"at": last.at, "took_s": last.took_s, "equal": last.equal, "problem": last.problem}
            connection.execute(
                insert(table).values(source=self._state.source, counts=json.dumps(last.counts), **values)
            )
