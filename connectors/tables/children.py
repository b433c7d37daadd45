"""The child rows of a page's rows: the database itself joins them, so that its own rules of equality apply.

Padded, case-insensitive and numeric types have rules of equality that no comparison here could repeat. Parents are
selected by their keys, in several statements: every protocol limits the number of values in a statement.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, select

from connectors.declared.declaration import FieldRule, child_columns
from connectors.tables.shape import Shape

VALUES_PER_STATEMENT = {"postgresql": 5_000, "mysql": 5_000, "mariadb": 5_000}
LEAST_VALUES = 500
"""For all other databases: below the limits of old SQLite (999), a list in Oracle (1,000), SQL Server (2,100)."""

Row = Sequence[Any]


class Children:
    """The rows of one child table that belong to a stream's rows."""

    def __init__(self, shape: Shape, rule: FieldRule, table: Table) -> None:
        """Take the stream's table, the rule of its list field, and the reflected child table."""
        assert rule.child is not None  # noqa: S101 - for the type checker: only such rules come here
        self._count = len(child_columns(rule))
        self._key = [shape.table.c[name] for name in shape.stream.key]
        child = table.alias("child")
        meets = [child.c[name] == shape.table.c[parent] for name, parent in rule.child.on.items()]
        joined = shape.table.join(child, and_(*meets))
        wanted = [child.c[name] for name in child_columns(rule)]
        order = [child.c[name] for name in rule.child.order]
        # otherwise equal rows come in any order, and another order would be another content
        order += [child.c[column.name] for column in table.primary_key.columns if column.name not in rule.child.order]
        self._statement = select(*map(shape.selected, [*wanted, *self._key])).select_from(joined).order_by(*order)
        self._shape = shape

    def of_rows(self, connection: Connection, rows: Sequence[Row]) -> list[list[Row]]:
        """Return each row's child rows, in order; a row begins with its key."""
        found: dict[str, list[Row]] = {}
        places = [self._shape.place(row) for row in rows]
        most = LEAST_VALUES if len(self._key) > 1 else VALUES_PER_STATEMENT.get(connection.dialect.name, LEAST_VALUES)
        step = max(1, most // len(self._key))
        whole = [place for place in places if None not in place]
        for first in range(0, len(whole), step):
            some = self._shape.at_any(whole[first : first + step])
            for row in connection.execute(self._statement.where(some)):
                values = tuple(row)
                found.setdefault(repr(self._shape.place(values[self._count :])), []).append(values[: self._count])
        return [found.get(repr(place), []) for place in places]
