"""The row path: decode one datum at a time, strictly by the Avro specification.

It decides: what it refuses is poison, with a reason. It does not use fastavro's reader, because that reader accepts
bytes that have no meaning: a union or enum index of -1 takes the last branch or symbol, a boolean of 2 is true, an int
may exceed 32 bits, a number may have fifty bytes. Both this reader and the block path's library accept more than the
shortest form in two cases: numbers of up to ten bytes, cut to 64 bits as Avro's Java reader does, and array blocks of a
negative count followed by the size in bytes, which is not used.

Every loop consumes at least one byte per iteration, so the length of a datum bounds the time it takes.
"""

import struct
from collections.abc import Callable
from typing import Any

from hub.intake.decode.nodes import Node

Reader = Callable[[bytes, int], tuple[Any, int]]
"""Reads one value at a position; returns it and the position after it."""

_DOUBLE = struct.Struct("<d")
_INT_MIN, _INT_MAX = -(1 << 31), (1 << 31) - 1
_MASK = (1 << 64) - 1


class DatumError(ValueError):
    """Bytes that are not a value of their type; the message holds no data."""


class DatumReader:
    """Reads the data of one writer schema into tuples of physical values."""

    def __init__(self, node: Node) -> None:
        self._fields = tuple((field.name, reader_of(field.node)) for field in node.fields)

    def read(self, value: bytes, start: int) -> tuple[list[Any], int]:
        """Read the record that begins at ``start``; return its fields' values and the position after it.

        Raises:
            DatumError: with the field's name and what is wrong.
        """
        values: list[Any] = []
        position = start
        name = ""
        try:
            for name, reader in self._fields:  # noqa: B007 - the handlers below name it
                item, position = reader(value, position)
                values.append(item)
        except IndexError:
            raise DatumError(f"{name}: the datum ends early") from None
        except UnicodeDecodeError:
            raise DatumError(f"{name}: invalid UTF-8") from None
        except DatumError as error:
            raise DatumError(f"{name}: {error}") from None
        return values, position


def reader_of(node: Node) -> Reader:
    """Return the function that reads a node's values."""
    reader = _plain_reader(node)
    return reader if node.null_branch is None else _nullable(reader, node.null_branch)


def _plain_reader(node: Node) -> Reader:
    if node.kind == "fixed":
        return _fixed(node.size)
    if node.kind == "array" and node.items is not None:
        return _array(reader_of(node.items))
    if node.kind == "record":
        return _record(tuple((field.name, reader_of(field.node)) for field in node.fields))
    return {
        "boolean": _boolean,
        "int": _int,
        "enum": _int,
        "long": _long,
        "double": _double,
        "string": _string,
    }[node.kind]


def _long(buffer: bytes, position: int) -> tuple[int, int]:
    byte = buffer[position]
    position += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position
    number = byte & 0x7F
    shift = 7
    while True:
        byte = buffer[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift >= 70:
            raise DatumError("a number of more than ten bytes")
    number &= _MASK
    return (number >> 1) ^ -(number & 1), position


def _int(buffer: bytes, position: int) -> tuple[int, int]:
    number, position = _long(buffer, position)
    if not _INT_MIN <= number <= _INT_MAX:
        raise DatumError("an int beyond 32 bits")
    return number, position


def _boolean(buffer: bytes, position: int) -> tuple[bool, int]:
    byte = buffer[position]
    if byte > 1:
        raise DatumError("a boolean that is neither 0 nor 1")
    return byte == 1, position + 1


def _double(buffer: bytes, position: int) -> tuple[float, int]:
    end = position + 8
    if end > len(buffer):
        raise IndexError
    return _DOUBLE.unpack_from(buffer, position)[0], end


def _string(buffer: bytes, position: int) -> tuple[str, int]:
    length, position = _long(buffer, position)
    if length < 0:
        raise DatumError("a string of negative length")
    end = position + length
    if end > len(buffer):
        raise IndexError
    return str(buffer[position:end], "utf-8"), end


def _fixed(size: int) -> Reader:
    def read(buffer: bytes, position: int) -> tuple[bytes, int]:
        end = position + size
        if end > len(buffer):
            raise IndexError
        return buffer[position:end], end

    return read


def _nullable(reader: Reader, null_branch: int) -> Reader:
    def read(buffer: bytes, position: int) -> tuple[Any, int]:
        branch, position = _long(buffer, position)
        if branch == null_branch:
            return None, position
        if branch != 1 - null_branch:
            raise DatumError("a union index out of range")
        return reader(buffer, position)

    return read


def _array(item: Reader) -> Reader:
    def read(buffer: bytes, position: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        while True:
            count, position = _long(buffer, position)
            if count == 0:
                return values, position
            if count < 0:
                count = -count
                _, position = _long(buffer, position)
            if count > len(buffer) - position:
                raise DatumError("an array longer than its datum")
            for _ in range(count):
                value, position = item(buffer, position)
                values.append(value)

    return read


def _record(fields: tuple[tuple[str, Reader], ...]) -> Reader:
    def read(buffer: bytes, position: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        for name, reader in fields:
            values[name], position = reader(buffer, position)
        return values, position

    return read
