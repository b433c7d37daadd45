"""What the questions of this package need to know of a stream's table."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Engine, Select, Table

from connectors.base.port import JsonValue
from connectors.declared.declaration import Stream


class Shape(Protocol):
    """A stream's table; ``connectors.access.source.SourceTable`` is one."""

    @property
    def engine(self) -> Engine:
        """Where it is."""

    @property
    def stream(self) -> Stream:
        """What is declared of it."""

    @property
    def table(self) -> Table:
        """Its columns, as reflected."""

    @property
    def child_tables(self) -> Sequence[Table]:
        """The tables that its lists are read from."""

    @property
    def what(self) -> str:
        """Its name in messages."""

    def keys(self) -> Select[Any]:
        """Return the select of the keys of all rows of the stream."""

    def selected(self, column: Column[Any]) -> ColumnElement[Any]:
        """Return the expression that selects a column of this table or of a child table."""

    def place(self, row: Sequence[Any]) -> list[JsonValue]:
        """Return a row's key as a position stores it; the row begins with its key."""

    def at_any(self, places: Sequence[Sequence[JsonValue]]) -> ColumnElement[bool]:
        """Return the condition of the rows whose key is at one of some places."""
