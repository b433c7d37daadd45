"""PostgreSQL through psycopg: dates of any year, text of any encoding, JSON of any number."""

import codecs
from collections.abc import Callable
from functools import cache
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types.multirange import MultirangeInfo
from psycopg.types.range import RangeInfo

from connectors.conversion.json_text import json_or_unreadable
from connectors.conversion.lookalikes import Bits, Single

_SESSION = (
    "SET datestyle TO 'ISO, YMD'; SET intervalstyle TO 'iso_8601'; SET bytea_output TO 'hex'; SET timezone TO 'UTC'"
)
"""Defaults of a server or a role must not change an event's content or its id."""

_MOMENTS = ("date", "timestamp", "timestamptz")
_AS_PRINTED = ("time", "timetz", "interval", "inet", "cidr")
_TEXTS = ("text", "varchar", "bpchar", "name", '"char"')
_UNKNOWN_TYPE = 0


def prepare(connection: "psycopg.Connection[Any]", is_encoding_given: bool) -> None:
    """Set up a new connection of the source: how it prints values, and how they become Python's.

    Args:
        connection: new, outside a transaction.
        is_encoding_given: the URL names the client's encoding. If not, the server converts nothing: one byte that it
            cannot convert would make it refuse all rows of the query.
    """
    connection.autocommit = True
    if not is_encoding_given:
        connection.execute(f"SET client_encoding TO '{_encoding(connection)}'".encode())
    connection.execute(_SESSION)
    connection.autocommit = False
    for name in _MOMENTS:
        connection.adapters.register_loader(name, _else_text(types[name].oid))
    printed = [info.name for info in types if isinstance(info, RangeInfo | MultirangeInfo)]
    for name in (*_AS_PRINTED, *printed):
        connection.adapters.register_loader(name, _Text)
    connection.adapters.register_loader("float4", _Single)
    for name in ("bit", "varbit"):
        connection.adapters.register_loader(name, _Bits)
    for name in ("json", "jsonb"):
        connection.adapters.register_loader(name, _Json)
    if _parameter(connection, "client_encoding") != "UTF8":
        for name in _TEXTS:
            connection.adapters.register_loader(name, _Text)
        connection.adapters.register_loader(_UNKNOWN_TYPE, _Text)


def _encoding(connection: "psycopg.Connection[Any]") -> str:
    """Return the server's encoding if Python knows it, else UTF8."""
    name = _parameter(connection, "server_encoding")
    return name if name in _CODECS else "UTF8"


def _parameter(connection: "psycopg.Connection[Any]", name: str) -> str:
    return (connection.pgconn.parameter_status(name.encode()) or b"UTF8").decode()


def _codec_of(connection: Any) -> str:
    codec = _CODECS.get(_parameter(connection, "client_encoding"), "utf-8") if connection else "utf-8"
    return codecs.lookup(codec).name


class _Text(Loader):
    """The database's own text. A byte outside its encoding becomes a lone surrogate, which no event accepts."""

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._codec = _codec_of(self.connection)

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(self._codec, "surrogateescape")


class _Json(_Text):
    """The value of a JSON document."""

    def load(self, data: Buffer) -> Any:
        return json_or_unreadable(super().load(data))


class _Bits(_Text):
    """A bit string as the server prints it, told apart from a text of digits."""

    def load(self, data: Buffer) -> Bits:
        return Bits(super().load(data))


class _Single(Loader):
    """A number in single precision."""

    def load(self, data: Buffer) -> Single:
        return Single(bytes(data))


@cache
def _else_text(oid: int) -> type[Loader]:
    """Return a loader that gives the driver's value, or the database's text if Python has no such value."""
    known = psycopg.adapters.get_loader(oid, Format.TEXT)
    if known is None:
        raise LookupError(f"psycopg has no loader of type {oid}")
    loader = known

    class ElseText(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._known: Callable[[Buffer], Any] = loader(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._known(data)
            except (psycopg.DataError, ValueError, OverflowError):
                return bytes(data).decode("ascii", "surrogateescape")

    return ElseText


_CODECS = {
    "SQL_ASCII": "utf-8",
    "UTF8": "utf-8",
    **{f"LATIN{number}": f"iso8859-{part}" for number, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), 1)},
    **{f"ISO_8859_{part}": f"iso8859-{part}" for part in (5, 6, 7, 8)},
    **{f"WIN{number}": f"cp{number}" for number in (866, 874, *range(1250, 1259))},
    **{"EUC_JP": "euc_jp", "EUC_CN": "gb2312", "EUC_KR": "euc_kr", "KOI8R": "koi8-r", "KOI8U": "koi8-u"},
}
"""PostgreSQL's names of encodings and Python's. Text of SQL_ASCII has no encoding: it is read as UTF-8."""
