"""Which way a table is read when nothing is declared: by its writers' transactions if it shows them, else by time."""

from typing import Any, cast

import pytest
from sqlalchemy import Column, DateTime, MetaData, String, Table

from connectors.access.horizon import HorizonReading
from connectors.access.overlap import OverlapReading
from connectors.access.source import SourceTable
from connectors.access.ways import late_rows_of, reading_of
from connectors.declared.declaration import LateRows
from connectors.declared.load import parse_declaration
from hub.model.errors import ConfigError

DECLARED = """
[source]
code = "npd"
agency = "G01"
unit_scheme = "GSO_2004"
url_env = "X"
[[stream]]
name = "people"
connector = "table"
subject = "citizen.changed"
table = "t"
key = ["pin"]
changed_at = "luc"
{late}
[stream.fields]
pin = "pin"
"""
URLS = {
    "table of PostgreSQL": ("postgresql", True),
    "view of PostgreSQL": ("postgresql", False),
    "SQLite": ("sqlite", False),
    "MariaDB": ("mariadb", False),
    "MySQL": ("mysql", False),
    "Oracle": ("oracle", False),
    "SQL Server": ("mssql", False),
}


def _table(name: str, late: str = "") -> tuple[Any, SourceTable]:
    """Return a declaration, and a table as far as the choice asks for it; ``changed_at`` is a column of time."""
    dialect, has_writers = URLS[name]
    declared = parse_declaration(DECLARED.format(late=late).encode())
    return declared, cast(SourceTable, _Stub(declared.streams[0], dialect, has_writers))


class _Stub:
    """What ``reading_of`` asks of a table; no database is needed to choose."""

    def __init__(self, stream: Any, dialect: str, has_writers: bool) -> None:
        self.stream, self.has_writers, self.what = stream, has_writers, "source, table t"
        self.is_postgresql = dialect == "postgresql"
        table = Table("t", MetaData(), Column("pin", String), Column("luc", DateTime))
        self.table, self.key, self.changed_at = table, [table.c.pin], table.c.luc
        self.columns = [table.c.pin, table.c.luc]
        self.engine = _Engine(dialect)


class _Engine:
    def __init__(self, dialect: str) -> None:
        self.dialect = type("Dialect", (), {"name": dialect})()


@pytest.mark.parametrize("name", URLS)
def test_way_is_the_horizon_for_tables_of_postgresql_alone(name: str) -> None:
    expected = LateRows.HORIZON if name == "table of PostgreSQL" else LateRows.OVERLAP
    declared, table = _table(name)
    assert late_rows_of(table) is expected
    reading = reading_of(declared, table)
    assert isinstance(reading, HorizonReading if expected is LateRows.HORIZON else OverlapReading)


@pytest.mark.parametrize("name", URLS)
def test_declared_overlap_is_taken_everywhere(name: str) -> None:
    declared, table = _table(name, 'late_rows = "overlap"')
    assert isinstance(reading_of(declared, table), OverlapReading)


@pytest.mark.parametrize("name", [name for name, (_, has_writers) in URLS.items() if not has_writers])
def test_declared_horizon_is_refused_where_no_writer_is_shown(name: str) -> None:
    declared, table = _table(name, 'late_rows = "horizon"')
    with pytest.raises(ConfigError, match='use "overlap"'):
        reading_of(declared, table)
