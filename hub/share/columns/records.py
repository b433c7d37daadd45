"""Composed records: their keys, their framed bytes, and those that the schema refuses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from hub.codec import wire
from hub.codec.catalogue import SchemaVersion
from hub.codec.columns import BYTES, FieldColumns, Pieces, named_types

Keys: TypeAlias = Sequence[UUID] | pa.Array
"""Keys, or a column of their bytes."""


def keys_array(keys: Keys) -> pa.Array:
    """Return keys as a column of their bytes."""
    return keys if isinstance(keys, pa.Array) else pa.array([key.bytes for key in keys], BYTES)


def key_series(keys: Sequence[UUID]) -> pl.Series:
    """Return keys as a series of their bytes."""
    return pl.Series([key.bytes for key in keys], dtype=pl.Binary)


def add_keys(keys: dict[str, pl.Series], name: str, more: pl.Series) -> None:
    """Add keys to those of a name, each once."""
    keys[name] = pl.concat([keys[name], more]).unique() if name in keys else more.unique()


def uuids_of(keys: pa.Array) -> list[UUID]:
    """Return keys from a column of their bytes."""
    return [UUID(bytes=key) for key in keys.to_pylist()]


@dataclass(frozen=True, slots=True)
class Records:
    """Composed records in the order of their keys.

    Fields:
        keys: the bytes of the keys.
        values: the records' framed bytes; null: a tombstone, or refused.
        refused: places of the records that the schema refuses.
        one: gives a record by its fields, for the encoder of single records.
    """

    keys: pa.Array
    values: pa.Array
    refused: Sequence[int]
    one: Callable[[int], dict[str, Any]]

    def by_key(self, encode: Callable[[Mapping[str, Any]], bytes]) -> dict[UUID, bytes | None]:
        """Return the value of each key; what the schema refuses is given to the encoder of single records."""
        values = self.values.to_pylist()
        for place in self.refused:
            values[place] = encode(self.one(place))
        return dict(zip(uuids_of(self.keys), values, strict=True))


class RecordColumns:
    """Encodes and frames whole records of one schema."""

    def __init__(self, version: SchemaVersion) -> None:
        self._fields = FieldColumns(version.fields, version.schema, named_types(version.schema))
        self._header = wire.header(version.schema_id)

    def encode(self, is_held: pa.Array, columns: Mapping[str, Any]) -> tuple[pa.Array, list[int]]:
        """Return the records' framed bytes, and the places of those that the schema refuses.

        Args:
            is_held: for each record whether there is one; false: a tombstone.
            columns: by field; one that is not given is null.
        """
        nothing = pa.nulls(len(is_held), pa.large_string())
        encoded = self._fields.encode({name: columns.get(name, nothing) for name in self._fields.names})
        framed, places = Pieces([self._header]), list[int]()
        for piece in encoded.pieces:
            framed.add(piece)
        if encoded.refused is not None:
            refused = pc.and_(is_held, encoded.refused)
            is_held, places = pc.and_not(is_held, refused), pc.indices_nonzero(refused).to_pylist()
        joined = framed.joined(len(is_held))
        return pc.if_else(is_held, joined, pa.scalar(None, BYTES)), places
