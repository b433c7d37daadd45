"""MariaDB and MySQL through PyMySQL: dates like 0000-00-00, times of more than a day, bits, text that is not UTF-8."""

import codecs
from typing import Any

_CODEC = "hub_utf8_escaped"


def prepare(connection: Any) -> None:
    """Set up a new connection of the source.

    A TIME comes as text, as the server prints it (it is a duration of up to 838 hours); BIT comes as a number. A DATE
    that is not a day, like 0000-00-00, comes from PyMySQL itself as text.
    """
    from pymysql.constants import FIELD_TYPE  # an extra: hub[mysql]

    connection.decoders = {**connection.decoders, FIELD_TYPE.TIME: str, FIELD_TYPE.BIT: _bits}
    if codecs.lookup(connection.encoding).name == "utf-8":
        connection.encoding = _CODEC


def _bits(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _found(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(_encoded, _decoded, name=_CODEC) if name == _CODEC else None


def _decoded(data: Any, errors: str = "strict") -> tuple[str, int]:
    return codecs.utf_8_decode(data, "surrogateescape", True)


def _encoded(text: str, errors: str = "strict") -> tuple[bytes, int]:
    return codecs.utf_8_encode(text, "surrogateescape")


# the server checks neither old clients' text nor surrogates in three bytes; PyMySQL finds this codec by its name
codecs.register(_found)
