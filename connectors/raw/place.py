"""A row's key in a stored position and as a bound value of a query: the same value for every type a key may have."""

from datetime import date, time
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, JSON, ColumnElement, LargeBinary, Text, cast, literal
from sqlalchemy.dialects import mysql
from sqlalchemy.types import NullType, TypeEngine

from connectors.base.port import JsonValue

_HEX, _DECIMAL = "hex", "decimal"


def kept(value: object) -> JsonValue:
    """Return a key's value as JSON stores it; ``bound`` is the inverse."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {_HEX: bytes(value).hex()}
    if isinstance(value, Decimal):
        return {_DECIMAL: str(value)}
    return value.isoformat() if isinstance(value, date | time) else str(value)


def bound(value: JsonValue, dialect: str) -> ColumnElement[Any]:
    """Return the query's expression for a stored value, to compare it with its column (which is used untyped as well).

    PostgreSQL receives text, which it reads as a value of the column's type: so no number is rounded on the way.
    """
    given: Any = value
    if isinstance(value, dict):
        given = bytes.fromhex(str(value[_HEX])) if _HEX in value else Decimal(str(value[_DECIMAL]))
    if dialect == "postgresql" and given is not None:
        return literal(_printed(given), NullType())
    if dialect == "sqlite" and isinstance(given, str) and not given.isprintable():
        return cast(literal(given.encode("utf-8", "surrogateescape"), LargeBinary), Text)
    return literal(given, NullType())


def key_problem(type_: TypeEngine[Any], dialect: str) -> str | None:
    """Return why a column of this type cannot be a key: it has no order, or its order differs from its comparisons."""
    if isinstance(type_, ARRAY | JSON):
        return "lists and documents cannot be a key"
    if dialect in ("mysql", "mariadb") and isinstance(type_, mysql.ENUM | mysql.SET):
        return "the server sorts ENUM and SET by number and compares them by letter, so they cannot be a key"
    if dialect in ("mysql", "mariadb") and isinstance(type_, mysql.FLOAT):
        return "a FLOAT is not equal to what the server prints of it, so it cannot be a key"
    return None


def _printed(value: object) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value).lower() if isinstance(value, bool) else str(value)
