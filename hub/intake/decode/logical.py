"""Give physical columns their meaning under the latest schema, column-wise, the same for both decode paths.

An enum's index becomes its symbol, a number of days becomes a date, an array becomes JSON text. Fields that the writer
did not know get their default; fields that the latest schema dropped are left out. A row with a meaningless value is
removed with its reason; other rows are not affected.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.polars_types import dtype_of
from hub.intake.decode.decoded import Poison
from hub.intake.decode.json_text import dumps, json_column, symbols_for
from hub.intake.decode.nodes import Field, Node, record_node
from hub.model.outcomes import Reason

ROW = "row"
"""The column with the index of the batch's value that a row came from."""

_FLAW = "__flaw"

_FIRST_MICROS, _LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A column's values, as an expression or computed, and the rows whose value has no meaning."""

    values: pl.Expr | pl.Series
    flawed: pl.Expr | pl.Series | None = None
    reason: Reason = Reason.NOT_DECODABLE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one field of the latest schema is made from the writer's record.

    Fields:
        absent: the result if the column is null in every row.
        default: the result if the writer does not know the field.
    """

    name: str
    latest: Field
    writer: Field | None
    dtype: pl.DataType
    absent: _Meaning
    default: _Meaning


class Interpreter:
    """Turns physical frames of one writer version into frames of the latest version."""

    def __init__(self, writer: SchemaVersion, latest: SchemaVersion) -> None:
        self._schema_id = writer.schema_id
        written = {field.name: field for field in record_node(writer.schema).fields}
        nodes = {field.name: field for field in record_node(latest.schema).fields}
        self._told: dict[str, _Meaning] = {}
        self._plans = tuple(
            _Plan(
                spec.name,
                nodes[spec.name],
                next((written[n] for n in (spec.name, *nodes[spec.name].aliases) if n in written), None),
                dtype_of(spec),
                _Meaning(pl.lit(None, dtype_of(spec))),
                _Meaning(pl.lit(_default(nodes[spec.name]), dtype_of(spec))),
            )
            for spec in latest.fields
        )

    def interpret(self, physical: pl.DataFrame) -> tuple[pl.DataFrame, list[Poison]]:
        """Return the frame of the rows whose values have a meaning, and the others as poison.

        Args:
            physical: column ``row`` and the writer's fields as physical values.
        """
        meanings = [self._meaning(plan, physical) for plan in self._plans]
        checked = [meaning for meaning in meanings if meaning.flawed is not None]
        flaws = [f"{_FLAW}{number}" for number in range(len(checked))]
        whole = physical.select(
            pl.col(ROW),
            *(_named(meaning.values, plan.name) for meaning, plan in zip(meanings, self._plans, strict=True)),
            *(_named(meaning.flawed, name) for meaning, name in zip(checked, flaws, strict=True)),
        )
        frame = whole[[ROW, *(plan.name for plan in self._plans)]]
        if not flaws or not whole.select(pl.any_horizontal(flaws).any()).item():
            return frame, []
        found: dict[int, Poison] = {}
        for meaning, name in zip(checked, flaws, strict=True):
            for row in whole.filter(pl.col(name))[ROW].to_list():
                found.setdefault(row, Poison(row, meaning.reason, self._schema_id, meaning.detail))
        kept = frame.filter(~whole.select(pl.any_horizontal(flaws)).to_series())
        return kept, [found[row] for row in sorted(found)]

    def _meaning(self, plan: _Plan, physical: pl.DataFrame) -> _Meaning:
        if plan.writer is None:
            return plan.default
        column = physical[plan.writer.name]
        if column.null_count() == physical.height:
            return plan.absent
        kind = _kind(plan.latest.node)
        if kind == "json":
            return _json(column, plan, plan.writer.node)
        if plan.name not in self._told:
            self._told[plan.name] = _MEANINGS[kind](plan, plan.writer)
        return self._told[plan.name]


def _named(column: pl.Expr | pl.Series | None, name: str) -> pl.Expr:
    return (column if isinstance(column, pl.Expr) else pl.lit(column)).alias(name)


def latest_schema(latest: SchemaVersion) -> dict[str, pl.DataType]:
    """Return the columns of a decoded frame: ``row``, then every field of the latest version."""
    return {ROW: pl.UInt32(), **{spec.name: dtype_of(spec) for spec in latest.fields}}


@cache
def nulls_of(latest: SchemaVersion) -> tuple[pl.Series, ...]:
    """Return a null for every column of a decoded frame, in its order."""
    return tuple(pl.Series(name, [None], dtype) for name, dtype in latest_schema(latest).items())


def empty_frame(latest: SchemaVersion) -> pl.DataFrame:
    """Return a decoded frame without rows."""
    return pl.DataFrame(schema=latest_schema(latest))


def _kind(node: Node) -> str:
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


def _enum(plan: _Plan, writer: Field) -> _Meaning:
    symbols = pl.Series(symbols_for(writer.node, plan.latest.node), dtype=pl.String())
    index = pl.col(writer.name)
    known = pl.lit(symbols).gather(pl.when(index.is_between(0, len(symbols) - 1)).then(index))
    return _Meaning(
        known,
        known.is_null() & index.is_not_null(),
        detail=f"{plan.name}: an enum index out of range",
    )


def _ranged(plan: _Plan, writer: Field, first: int, last: int) -> _Meaning:
    number = pl.col(writer.name)
    return _Meaning(
        number.cast(plan.dtype),
        number.is_between(first, last).fill_null(value=True).not_(),
        Reason.INVALID_VALUE,
        f"{plan.name}: not in the years 1 to 9999",
    )


def _date(plan: _Plan, writer: Field) -> _Meaning:
    return _ranged(plan, writer, _FIRST_DAY, _LAST_DAY)


def _timestamp(plan: _Plan, writer: Field) -> _Meaning:
    return _ranged(plan, writer, _FIRST_MICROS, _LAST_MICROS)


def _string(plan: _Plan, writer: Field) -> _Meaning:
    text = pl.col(writer.name)
    nul = text.str.contains("\0", literal=True).fill_null(value=False)
    return _Meaning(text, nul, Reason.INVALID_VALUE, f"{plan.name}: a NUL character")


def _json(column: pl.Series, plan: _Plan, writer: Node) -> _Meaning:
    texts, refused = json_column(column, writer, plan.latest.node)
    return _Meaning(texts, refused, Reason.INVALID_VALUE, f"{plan.name}: a value that has no JSON form")


def _number(plan: _Plan, writer: Field) -> _Meaning:
    return _Meaning(pl.col(writer.name).cast(plan.dtype))


_MEANINGS: Mapping[str, Callable[[_Plan, Field], _Meaning]] = {
    "enum": _enum,
    "string": _string,
    "date": _date,
    "timestamp": _timestamp,
    "number": _number,
}
