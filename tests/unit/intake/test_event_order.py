"""Turns of a batch's rows against a plain-Python model that takes them one by one."""

from dataclasses import dataclass

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.reconcile.shared.event_order import ORDER_COLUMNS, with_event_order
from hub.warehouse.batch import ORDER_DUPLICATE, ORDER_NEWER, ORDER_REUSED, ORDER_STALE


@dataclass(frozen=True, slots=True)
class Row:
    """One row as far as turns see it."""

    key: int
    kind: str
    source: int
    epoch: int
    version: int
    content: int


rows = st.builds(
    Row,
    st.integers(1, 3),
    st.sampled_from(["PERMANENT", "TEMPORARY"]),
    st.integers(1, 2),
    st.integers(0, 1),
    st.integers(0, 3),
    st.integers(0, 1),
)


def frame_of(said: list[Row], with_parts: bool) -> pl.DataFrame:
    schema = {
        "key": pl.Binary(),
        "kind": pl.String(),
        "source": pl.Int16(),
        "source_epoch": pl.Int32(),
        "source_version": pl.Int64(),
        "content_hash": pl.Int64(),
    }
    data = [
        (row.key.to_bytes(16, "big"), row.kind, row.source, row.epoch, row.version, row.content - 2**62) for row in said
    ]
    frame = pl.DataFrame(data, schema=schema, orient="row")
    return frame if with_parts else frame.drop("kind")


def model(said: list[Row], with_parts: bool) -> tuple[list[int], list[bool]]:
    """Take the rows one by one: the turn of each, and whether it is what is left of its group at the end."""
    stored: dict[object, int] = {}
    turns = []
    for number, row in enumerate(said):
        group = (row.key, row.kind if with_parts else "", row.source)
        before = said[stored[group]] if group in stored else None
        if before is None or (row.epoch, row.version) > (before.epoch, before.version):
            stored[group] = number
            turns.append(ORDER_NEWER)
        elif (row.epoch, row.version) < (before.epoch, before.version):
            turns.append(ORDER_STALE)
        else:
            turns.append(ORDER_DUPLICATE if row.content == before.content else ORDER_REUSED)
    return turns, [number in stored.values() for number in range(len(said))]


def _same_version(one: Row, other: Row, with_parts: bool) -> bool:
    return (one.key, one.source, one.epoch, one.version) == (other.key, other.source, other.epoch, other.version) and (
        not with_parts or one.kind == other.kind
    )


@settings(max_examples=100)
@given(said=st.lists(rows, max_size=25), with_parts=st.booleans())
def test_turns_equal_those_of_rows_taken_one_by_one(said: list[Row], with_parts: bool) -> None:
    frame = frame_of(said, with_parts)
    turned = with_event_order(frame, ("key", "kind") if with_parts else ("key",))
    assert (turned["turn"].to_list(), turned["newest"].to_list()) == model(said, with_parts)
    assert turned.drop(ORDER_COLUMNS).equals(frame)
    for number, used_before in enumerate(turned["turn_hash"]):
        row = said[number]
        first = next(one for one in said if _same_version(one, row, with_parts))
        is_reused = turned["turn"][number] == ORDER_REUSED
        assert used_before == (first.content - 2**62 if is_reused else None)
    assert turned.schema["turn"] == pl.Int16
    assert turned.schema["newest"] == pl.Boolean


def test_rows_of_different_sources_do_not_meet() -> None:
    said = [Row(1, "PERMANENT", source, 1, 1, 0) for source in (1, 2)]
    assert with_event_order(frame_of(said, False), ("key",))["turn"].to_list() == [ORDER_NEWER, ORDER_NEWER]


def test_epoch_goes_before_version() -> None:
    said = [Row(1, "PERMANENT", 1, 1, 0, 0), Row(1, "PERMANENT", 1, 0, 3, 0)]
    assert with_event_order(frame_of(said, False), ("key",))["turn"].to_list() == [ORDER_NEWER, ORDER_STALE]
