"""Composing: one bad record is found and named; if no record at all can be composed, the keys are not the cause."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import pyarrow as pa
import pytest
from sqlalchemy import Connection

from hub.codec.columns import BYTES
from hub.model.errors import NothingComposedError
from hub.model.set_aside import SetAside
from hub.share.columns.records import Keys, Records, keys_array, uuids_of
from hub.share.composing import NOBODY_COMPOSED, compose_each

PERSONAL = "Trần Thị Bình"


class Broken:
    """A composer that fails for some keys; the error holds a value, as a driver's does."""

    def __init__(self, bad: set[UUID]) -> None:
        self._bad = bad
        self.tried = 0

    def records(self, connection: Connection, keys: Keys) -> Records:
        """Return a record for each key, or fail for all of them."""
        self.tried += 1
        wanted = uuids_of(keys_array(keys))
        if self._bad & set(wanted):
            raise ValueError(PERSONAL)
        values = pa.array([self.encode({"key": str(key)}) for key in wanted], BYTES)
        return Records(keys_array(keys), values, [], lambda place: {"key": str(wanted[place])})

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return some bytes."""
        return str(record["key"]).encode()


class Savepoints:
    """A connection that only makes savepoints."""

    @contextmanager
    def begin_nested(self) -> Iterator[None]:
        """Yield at once."""
        yield


CONNECTION = cast(Connection, Savepoints())


def keys(count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(1, count + 1)]


def test_i8_nothing_composed_says_how_many_were_tried_and_where_and_no_value() -> None:
    every = keys(4 * NOBODY_COMPOSED)
    composer = Broken(set(every))
    with pytest.raises(
        NothingComposedError, match=f"no record can be composed, {NOBODY_COMPOSED} were tried"
    ) as caught:
        compose_each(composer, CONNECTION, every)
    assert "ValueError at test_composing.py" in caught.value.message
    assert PERSONAL not in caught.value.message
    assert composer.tried < 3 * NOBODY_COMPOSED, "the others are not tried one by one"


def test_one_record_that_can_be_composed_shows_that_the_others_are_the_cause() -> None:
    every = keys(2 * NOBODY_COMPOSED)
    composed = compose_each(Broken(set(every[1:])), CONNECTION, every)
    assert set(composed.values) == {every[0]}
    assert set(composed.refused) == set(every[1:])
    assert {why.reason for why in composed.refused.values()} == {SetAside.NOT_COMPOSED}


def test_fewer_keys_than_that_are_set_aside_each_with_its_reason() -> None:
    few = keys(NOBODY_COMPOSED - 1)
    composed = compose_each(Broken(set(few)), CONNECTION, few)
    assert set(composed.refused) == set(few)
    assert not composed.values
    assert PERSONAL not in repr(composed)
