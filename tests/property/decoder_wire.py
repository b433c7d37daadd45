"""An Avro writer for the decoder's fuzz that can write what is unusual and what is wrong.

Unusual and valid: numbers longer than they need be, arrays in blocks of a negative count with their size. Wrong: one
number of the datum (a union's branch, a length, a count, an enum's index, a value) replaced by another.
"""

import random
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from hub.intake.decode.nodes import Node

Token = int | bytes
"""A piece of a datum: a number still to be written, or bytes that are final."""

_WRONG = (-1, -1, -1, -2, 0, 1, 2, 3, 5, 64, 1 << 20, 1 << 31, -(1 << 31) - 1, (1 << 63) - 1, -(1 << 63), 1 << 40)


def tokens(node: Node, value: Any, chance: random.Random | None = None) -> list[Token]:
    """Return the pieces of a value of physical types; with a ``chance``, arrays come in unusual blocks."""
    if node.null_branch is not None:
        if value is None:
            return [node.null_branch]
        return [1 - node.null_branch, *_plain(node, value, chance)]
    return _plain(node, value, chance)


def _plain(node: Node, value: Any, chance: random.Random | None) -> list[Token]:
    if node.kind == "record":
        return [piece for field in node.fields for piece in tokens(field.node, _member(value, field.name), chance)]
    if node.kind == "array" and node.items is not None:
        return _array([tokens(node.items, item, chance) for item in value], chance)
    if node.kind == "string":
        raw = value.encode()
        return [len(raw), raw]
    if node.kind == "fixed":
        return [value]
    if node.kind == "boolean":
        return [b"\1" if value else b"\0"]
    if node.kind == "double":
        return [struct.pack("<d", value)]
    return [int(value)]


def _member(value: Mapping[str, Any], name: str) -> Any:
    return value.get(name)


def _array(items: list[list[Token]], chance: random.Random | None) -> list[Token]:
    pieces: list[Token] = []
    while items:
        count = len(items) if chance is None else chance.randrange(1, len(items) + 1)
        block = [piece for item in items[:count] for piece in item]
        if chance is not None and chance.random() < 0.6:
            pieces += [-count, len(written(block))]
        else:
            pieces.append(count)
        pieces += block
        items = items[count:]
    return [*pieces, 0]


def written(pieces: Iterable[Token], chance: random.Random | None = None) -> bytes:
    """Return the bytes of pieces; with a ``chance``, some numbers are longer than they need be."""
    return b"".join(piece if isinstance(piece, bytes) else _number(piece, chance) for piece in pieces)


def twisted(pieces: list[Token], chance: random.Random) -> list[Token]:
    """Return pieces of which one number is wrong."""
    places = [place for place, piece in enumerate(pieces) if isinstance(piece, int)]
    place = chance.choice(places)
    return [*pieces[:place], chance.choice(_WRONG), *pieces[place + 1 :]]


def _number(number: int, chance: random.Random | None) -> bytes:
    zigzag = ((number << 1) ^ (number >> 63)) & ((1 << 64) - 1)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    if chance is not None and chance.random() < 0.1:
        padding = chance.randrange(10 - len(out) + 1)
        if padding:
            out[-1] |= 0x80
            out += b"\x80" * (padding - 1) + b"\0"
    return bytes(out)
