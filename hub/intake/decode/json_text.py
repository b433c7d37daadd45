"""Canonical compact JSON text of array and record columns: keys in schema order, no spaces, no needless escapes.

If a column holds only strings, integers and booleans, polars writes the text, exactly as ``json.dumps`` with
``ensure_ascii=False`` does. If it holds doubles, enums, dates, timestamps or uuids, or has the shape of an older
version, Python writes it row by row: doubles in their shortest form, enums as their symbol, dates and times in RFC 3339
and UTC, uuids as their usual text.
"""

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl

from hub.intake.decode.nodes import Node

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_NUL = r"(?:^|[^\\])(?:\\\\)*\\u0000"
_PLAIN = {"string", "int", "long", "boolean"}


class RenderError(ValueError):
    """A value that has no JSON form, or that the latest schema does not know; the message holds no data."""


def json_column(column: pl.Series, writer: Node, latest: Node) -> tuple[pl.Series, pl.Series | None]:
    """Return a column's texts, and which rows hold a value that has no JSON form (None: no row does).

    A row is refused for an enum index out of range, a date outside the years 1 to 9999, a double that is not a number,
    or a NUL character, which PostgreSQL's JSON cannot hold.
    """
    if writer == latest and _is_plain(writer):
        texts = _by_polars(column)
        nul = texts.str.contains(_NUL)
        return texts, nul.fill_null(value=False) if nul.any() else None
    return _by_python(column, converter(writer, latest))


def _by_polars(column: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"j": column})
    whole = pl.struct("j").struct.json_encode()
    text = whole.str.strip_prefix('{"j":').str.strip_suffix("}")
    return frame.select(pl.when(pl.col("j").is_not_null()).then(text).alias(column.name)).to_series()


def _by_python(column: pl.Series, convert: Callable[[Any], Any]) -> tuple[pl.Series, pl.Series | None]:
    texts: list[str | None] = []
    refused: list[bool] = []
    for value in column.to_list():
        try:
            text = None if value is None else dumps(convert(value))
            texts.append(text)
            refused.append(False)
        except RenderError:
            texts.append(None)
            refused.append(True)
    flaws = pl.Series(column.name, refused, pl.Boolean())
    return pl.Series(column.name, texts, pl.String()), flaws if flaws.any() else None


def dumps(value: Any) -> str:
    """Return the canonical text of a value that is already converted."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _is_plain(node: Node) -> bool:
    if node.kind == "array":
        return node.items is not None and _is_plain(node.items)
    if node.kind == "record":
        return bool(node.fields) and all(_is_plain(field.node) for field in node.fields)
    return node.kind in _PLAIN and node.logical is None


def converter(writer: Node, latest: Node) -> Callable[[Any], Any]:
    """Return the function that turns a physical value of the writer's type into the JSON value of the latest type."""
    inner = _converter(writer, latest)
    return lambda value: None if value is None else inner(value)


def _converter(writer: Node, latest: Node) -> Callable[[Any], Any]:
    if writer.kind == "array" and writer.items is not None and latest.items is not None:
        item = converter(writer.items, latest.items)
        return lambda values: [item(value) for value in values]
    if writer.kind == "record":
        return _record_converter(writer, latest)
    if writer.kind == "enum":
        return lambda index: _symbol(symbols_for(writer, latest), index)
    if writer.logical == "date":
        return _date
    if writer.logical == "timestamp-micros":
        return _timestamp
    if writer.kind == "fixed":
        return lambda raw: str(UUID(bytes=raw)) if writer.logical == "uuid" else raw.hex()
    if latest.kind == "double":
        return _number
    return _text if writer.kind == "string" else lambda value: value


def _record_converter(writer: Node, latest: Node) -> Callable[[Any], Any]:
    written = {field.name: field for field in writer.fields}
    plan: list[tuple[str, str | None, Callable[[Any], Any], Any]] = []
    for field in latest.fields:
        source = next((written[name] for name in (field.name, *field.aliases) if name in written), None)
        if source is None:
            plan.append((field.name, None, _text, field.default))
        else:
            plan.append((field.name, source.name, converter(source.node, field.node), None))
    return lambda value: {
        name: default if source is None else convert(value[source]) for name, source, convert, default in plan
    }


def symbols_for(writer: Node, latest: Node) -> list[str | None]:
    """Return, by the writer's index, the symbol in the latest schema; None if the latest schema has none for it."""
    return [symbol if symbol in latest.symbols else latest.enum_default for symbol in writer.symbols]


def _symbol(symbols: list[str | None], index: int) -> str:
    symbol = symbols[index] if 0 <= index < len(symbols) else None
    if symbol is None:
        raise RenderError("enum index out of range")
    return symbol


def _text(value: str) -> str:
    if "\0" in value:
        raise RenderError("NUL character")
    return value


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise RenderError("not a finite number")
    return float(value)


def _date(days: int) -> str:
    try:
        return (_EPOCH_DAY + timedelta(days=days)).isoformat()
    except OverflowError:
        raise RenderError("date out of range") from None


def _timestamp(micros: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise RenderError("timestamp out of range") from None
