"""Give physical columns their meaning under the latest schema, column-wise, the same for both decode paths.

An enum's index becomes its symbol, a number of days a date, an array its JSON text; fields that the writer did not
know get their default; fields that the latest schema dropped are left out. A row whose value has no meaning is taken
out with its reason; no other row is touched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.polars_types import dtype_of
from hub.intake.avro_nodes import Field, Node, record_node
from hub.intake.decoded import Poison
from hub.intake.json_text import dumps, json_column, symbols_for
from hub.model.outcomes import Reason

ROW = "row"
"""The column that says which of the batch's values a row came from."""

_FIRST_MICROS, _LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


@dataclass(frozen=True, slots=True)
class _Flaw:
    rows: pl.Series  # of bool
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one field of the latest schema is made from the writer's record."""

    name: str
    latest: Field
    writer: Field | None
    dtype: pl.DataType


class Interpreter:
    """Turns physical frames of one writer version into frames of the latest version."""

    def __init__(self, writer: SchemaVersion, latest: SchemaVersion) -> None:
        self._schema_id = writer.schema_id
        written = {field.name: field for field in record_node(writer.schema).fields}
        nodes = {field.name: field for field in record_node(latest.schema).fields}
        self._plans = tuple(
            _Plan(
                spec.name,
                nodes[spec.name],
                next((written[n] for n in (spec.name, *nodes[spec.name].aliases) if n in written), None),
                dtype_of(spec),
            )
            for spec in latest.fields
        )

    def interpret(self, physical: pl.DataFrame) -> tuple[pl.DataFrame, list[Poison]]:
        """Return the frame of the rows that have a meaning, and the poison of those that have none.

        Args:
            physical: column ``row`` and the writer's fields as physical values.
        """
        flaws: list[_Flaw] = []
        columns = [physical[ROW]]
        columns.extend(self._column(plan, physical, flaws) for plan in self._plans)
        frame = pl.DataFrame(columns)
        if not flaws:
            return frame, []
        found: dict[int, Poison] = {}
        for flaw in flaws:
            for row in physical[ROW].filter(flaw.rows).to_list():
                found.setdefault(row, Poison(row, flaw.reason, self._schema_id, flaw.detail))
        kept = frame.filter(~pl.col(ROW).is_in(pl.Series(list(found), dtype=pl.UInt32()).implode()))
        return kept, [found[row] for row in sorted(found)]

    def _column(self, plan: _Plan, physical: pl.DataFrame, flaws: list[_Flaw]) -> pl.Series:
        if plan.writer is None:
            value = _default(plan.latest)
            return pl.Series(plan.name, [value], plan.dtype).new_from_index(0, physical.height)
        column = physical[plan.writer.name].alias(plan.name)
        return _CONVERTERS[_meaning(plan.latest.node)](column, plan, flaws)


def latest_schema(latest: SchemaVersion) -> dict[str, pl.DataType]:
    """Return the columns of a decoded frame: ``row``, then every field of the latest version."""
    return {ROW: pl.UInt32(), **{spec.name: dtype_of(spec) for spec in latest.fields}}


def empty_frame(latest: SchemaVersion) -> pl.DataFrame:
    """Return a decoded frame without rows."""
    return pl.DataFrame(schema=latest_schema(latest))


def _meaning(node: Node) -> str:
    if node.kind in {"array", "record"}:
        return "json"
    if node.kind in {"enum", "string"}:
        return node.kind
    return {"date": "date", "timestamp-micros": "timestamp"}.get(node.logical or "", "number")


def _default(field: Field) -> Any:
    if field.default is None:
        return None
    if field.node.kind in {"array", "record"}:
        return dumps(field.default)
    return field.default


def _enum(column: pl.Series, plan: _Plan, flaws: list[_Flaw]) -> pl.Series:
    if plan.writer is None:
        raise ValueError("an enum that was written has a writer's field")
    symbols = pl.Series(symbols_for(plan.writer.node, plan.latest.node), dtype=pl.String())
    index = column if column.is_between(0, len(symbols) - 1).all() else _within(column, 0, len(symbols) - 1)
    texts = symbols.gather(index).alias(plan.name)
    unknown = texts.is_null() & column.is_not_null()
    if unknown.any():
        flaws.append(_Flaw(unknown, Reason.NOT_DECODABLE, f"{plan.name}: an enum index out of range"))
    return texts


def _within(column: pl.Series, first: int, last: int) -> pl.Series:
    return column.to_frame().select(pl.when(pl.first().is_between(first, last)).then(pl.first())).to_series()


def _ranged(column: pl.Series, plan: _Plan, flaws: list[_Flaw], first: int, last: int) -> pl.Series:
    beyond = ~column.is_between(first, last).fill_null(value=True)
    if beyond.any():
        flaws.append(_Flaw(beyond, Reason.INVALID_VALUE, f"{plan.name}: not in the years 1 to 9999"))
        column = _within(column, first, last)
    return column.cast(plan.dtype)


def _date(column: pl.Series, plan: _Plan, flaws: list[_Flaw]) -> pl.Series:
    return _ranged(column, plan, flaws, _FIRST_DAY, _LAST_DAY)


def _timestamp(column: pl.Series, plan: _Plan, flaws: list[_Flaw]) -> pl.Series:
    return _ranged(column, plan, flaws, _FIRST_MICROS, _LAST_MICROS)


def _string(column: pl.Series, plan: _Plan, flaws: list[_Flaw]) -> pl.Series:
    if column.null_count() < len(column):
        nul = column.str.contains("\0", literal=True).fill_null(value=False)
        if nul.any():
            flaws.append(_Flaw(nul, Reason.INVALID_VALUE, f"{plan.name}: a NUL character"))
    return column


def _json(column: pl.Series, plan: _Plan, flaws: list[_Flaw]) -> pl.Series:
    if plan.writer is None:
        raise ValueError("a column that was written has a writer's field")
    texts, refused = json_column(column, plan.writer.node, plan.latest.node)
    if refused is not None:
        flaws.append(_Flaw(refused, Reason.INVALID_VALUE, f"{plan.name}: a value that has no JSON form"))
    return texts


def _number(column: pl.Series, plan: _Plan, flaws: list[_Flaw]) -> pl.Series:
    return column.cast(plan.dtype)


_CONVERTERS: Mapping[str, Callable[[pl.Series, _Plan, list[_Flaw]], pl.Series]] = {
    "enum": _enum,
    "string": _string,
    "date": _date,
    "timestamp": _timestamp,
    "json": _json,
    "number": _number,
}
