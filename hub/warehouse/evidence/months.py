"""The monthly partitions of the audit log: create them ahead, list them, drop them.

A row goes to the month (UTC) in which its transaction began. Rows of a month without a partition go to ``..._rest``, so
that a missing partition never makes a batch fail.
"""

import re
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from hub.warehouse.tables.evidence import BY_MONTH

MONTHS_AHEAD = 2
_NAME = re.compile(r"(?P<relation>[a-z]+)_(?P<year>\d{4})_(?P<month>\d\d)")
_INDEXES = {"audit": (), "release": ("key", "id")}


@dataclass(frozen=True, slots=True)
class Month:
    """A partition: its table, and the first day of its month."""

    relation: str
    first_day: date

    @property
    def name(self) -> str:
        """Name of the partition's table."""
        return f"{self.relation}_{self.first_day:%Y_%m}"

    @property
    def end(self) -> date:
        """First day of the next month."""
        return month_after(self.first_day, 1)


def month_after(day: date, months: int) -> date:
    """Return the first day of the month that is ``months`` after a day's month."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def today(connection: Connection) -> date:
    """Return the day (UTC) by the database's clock."""
    day: date = connection.execute(text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    return day


def months_there(connection: Connection, relation: str) -> list[Month]:
    """Return the partitions of a table, oldest first."""
    names = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name)"),
        {"name": relation},
    ).scalars()
    matches = filter(None, (_NAME.fullmatch(name.rpartition(".")[2].strip('"')) for name in names))
    found = [Month(match["relation"], date(int(match["year"]), int(match["month"]), 1)) for match in matches]
    return sorted(found, key=lambda month: month.first_day)


def ensure_months(connection: Connection, ahead: int = MONTHS_AHEAD) -> list[str]:
    """Create the missing partitions of this month and of coming months; return their names.

    A month whose rows are already in ``..._rest`` stays there. The connection's user must own the tables.
    """
    made = []
    first = month_after(today(connection), 0)
    for relation in BY_MONTH:
        there = set(months_there(connection, relation))
        for number in range(ahead + 1):
            month = Month(relation, month_after(first, number))
            if month not in there and not _is_in_rest(connection, month):
                _make(connection, month)
                made.append(month.name)
    return made


def missing_months(connection: Connection) -> list[str]:
    """Name the missing partitions that rows will need within a month."""
    first = month_after(today(connection), 0)
    wanted = [Month(relation, month_after(first, number)) for relation in BY_MONTH for number in (0, 1)]
    there = {month for relation in BY_MONTH for month in months_there(connection, relation)}
    return [month.name for month in wanted if month not in there]


def _is_in_rest(connection: Connection, month: Month) -> bool:
    found = text(
        f"SELECT EXISTS (SELECT FROM {month.relation}_rest WHERE recorded_at >= :first AND recorded_at < :end)"  # noqa: S608
    )
    return bool(connection.execute(found, {"first": month.first_day, "end": month.end}).scalar_one())


def _make(connection: Connection, month: Month) -> None:
    connection.execute(
        text(
            f"CREATE TABLE {month.name} PARTITION OF {month.relation} (PRIMARY KEY (log, log_offset)) "
            f"FOR VALUES FROM ('{month.first_day} 00:00+00') TO ('{month.end} 00:00+00') "
            "WITH (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2)"
        )
    )
    for name in _INDEXES[month.relation]:
        connection.execute(text(f"CREATE INDEX {month.name}_{name} ON {month.name} ({name})"))


def drop_month(connection: Connection, month: Month) -> None:
    """Drop a partition with its rows; waits for statements that read the table."""
    connection.execute(text(f"DROP TABLE {month.name}"))
