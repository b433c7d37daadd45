"""Encoding a page column by column gives the records that encoding row by row gives, and leaves the rest to it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base.reasons import Unmappable
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper
from connectors.declared.load import load_declaration, parse_declaration
from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.partitions import partition_of, partitions_of
from hub.model.errors import PoisonError
from tests.unit.connectors.test_connector_declaration import DECLARATIONS
from tests.unit.connectors.test_connector_mapping import CITIZEN, DOSSIER, NOW, SECRET

STREAMS = [
    (declaration, stream) for declaration in map(load_declaration, DECLARATIONS) for stream in declaration.streams
]
MOMENT = datetime(2025, 6, 30, 23, 59, 30, tzinfo=UTC)
ORDINARY: st.SearchStrategy[Any] = st.sampled_from(
    ["Nam", "Nữ", "TT", "DK", "MHL", "1", "2", "01", "H42", "2025-06-30", "30/06/2025", "06/2025", " Trần ", "An", ""]
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, 7, True, False, 1.0, 2.5, Decimal(1), Decimal("1.5"), date(2025, 6, 30), MOMENT, "a\0b", "\udc80", [], {}]
)


def by_row(mapper: RowMapper, encoder: Encoder, row: Any) -> tuple[tuple[bytes, bytes], bytes, str] | None:
    try:
        event = mapper.event(row, NOW)
        value = encoder.encode(event)
        return (encoder.key(event), value), event["event_id"], event.get("doubtful_fields", "")
    except (Unmappable, PoisonError):
        return None


def parts_of(toml: str) -> tuple[RowMapper, Encoder]:
    declaration = parse_declaration(toml.encode())
    stream = declaration.streams[0]
    version = load_catalogue().latest(stream.subject)
    return RowMapper(declaration, stream, version, SECRET), Encoder(stream.subject, SECRET)


@pytest.mark.parametrize(("declaration", "stream"), STREAMS, ids=lambda part: getattr(part, "name", ""))
@settings(max_examples=25)
@given(data=st.data())
def test_page_is_what_its_rows_are_one_by_one(declaration: Any, stream: Any, data: st.DataObject) -> None:
    mapper = RowMapper(declaration, stream, load_catalogue().latest(stream.subject), SECRET)
    encoder = Encoder(stream.subject, SECRET)
    columns = ColumnEncoder(mapper, encoder)
    cell = st.one_of(ORDINARY, ORDINARY, ORDINARY, ODD)
    width = len(mapper.columns)
    lists: list[Any] = [[] for _ in mapper.children]
    pages = data.draw(st.lists(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=4), max_size=2))
    for page in pages:
        rows = [_with_moment(mapper, tuple(row)) + tuple(lists) for row in page]
        found = columns.encode(rows, NOW)
        for place, (row, record, event_id) in enumerate(zip(rows, found.records, found.event_ids, strict=True)):
            if record is not None:
                assert (record, event_id, found.doubtful.get(place, "")) == by_row(mapper, encoder, row)
            else:
                assert place not in found.doubtful


def _with_moment(mapper: RowMapper, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let the columns without which no row becomes an event hold what they should, most of the time."""
    stream = mapper.stream
    known: dict[str | None, Any] = {stream.changed_at: MOMENT, stream.version: 7}
    known.update(dict.fromkeys(stream.key, "K-1"))
    return tuple(
        known.get(name, value) if value is not None else None for name, value in zip(mapper.columns, row, strict=True)
    )


def test_ordinary_rows_need_no_row_path_and_odd_ones_hold_no_neighbour_up() -> None:
    mapper, encoder = parts_of(CITIZEN)
    good = {"pin": "000299000123", "luc": MOMENT, "ho": "Trần", "ten": "An", "gt": "Nữ", "ns": "07/03/2099"}
    said = [good, good | {"gt": "khác"}, good | {"pin": None}, good | {"luc": None}, good | {"ngay": "01062025"}]
    rows = [tuple(row.get(name) for name in mapper.columns) for row in said]
    found = ColumnEncoder(mapper, encoder).encode(rows, NOW)
    assert [record is not None for record in found.records] == [True, False, False, False, True]
    assert found.records[0] == (by_row(mapper, encoder, rows[0]) or ((), b""))[0]
    assert found.records[4] == (by_row(mapper, encoder, rows[4]) or ((), b""))[0]


def test_rows_with_dropped_and_padded_values_need_no_row_path() -> None:
    declared = CITIZEN.replace('pin = "pin"', 'pin = { column = "pin", pad = 12 }')
    mapper, encoder = parts_of(declared)
    columns = ColumnEncoder(mapper, encoder)
    good = {"pin": "001299000123", "luc": MOMENT, "ho": "Trần", "ten": "An", "ns": "07/03/2099", "ngay": "01062025"}
    said = [good, good | {"ns": "31/02/2099"}, good | {"pin": 1299000123}, good | {"ngay": "x", "gt": "khác"}, good]
    for _ in range(2):  # a second page finds the values among those it remembers
        rows = [tuple(row.get(name) for name in mapper.columns) for row in said]
        found = columns.encode(rows, NOW)
        whole = [by_row(mapper, encoder, row) for row in rows]
        assert found.records == [None if one is None else one[0] for one in whole]
        assert found.doubtful == {
            1: "birth_year DROPPED BAD_DATE; birth_month DROPPED BAD_DATE; birth_day DROPPED BAD_DATE",
            2: "pin PADDED LEADING_ZEROS_LOST",
        }
    assert found.records[2] is not None
    assert found.records[2][0] == found.records[0][0]  # type: ignore[index]


def test_equal_values_of_different_types_are_not_taken_for_each_other() -> None:
    mapper, encoder = parts_of(CITIZEN.replace('full_name = { columns = ["ho", "dem", "ten"] }', 'full_name = "ho"'))
    columns = ColumnEncoder(mapper, encoder)
    for value in (1, True, 1.0, Decimal(1), "1"):
        row = tuple({"pin": "000299000123", "luc": MOMENT, "ho": value}.get(name) for name in mapper.columns)
        expected = by_row(mapper, encoder, row)
        assert columns.encode([row] * 3, NOW).records == [expected[0] if expected else None] * 3


def test_text_that_is_new_in_each_row_is_what_its_rows_are_one_by_one() -> None:
    mapper, encoder = parts_of(CITIZEN.replace('full_name = { columns = ["ho", "dem", "ten"] }', 'full_name = "ho"'))
    columns = ColumnEncoder(mapper, encoder)
    good = [f" Trần Văn {number} " for number in range(600)]
    odd: list[Any] = ["a\0b", "  ", "\udc80", None, 7, "x" * 300, "y" * 20_000]
    pages = [good, [*good, odd[5], odd[6]], *([*good, value] for value in odd)]
    for page in pages:
        said = [{"pin": f"{number:012d}", "luc": MOMENT, "ho": name} for number, name in enumerate(page)]
        rows = [tuple(row.get(name) for name in mapper.columns) for row in said]
        expected = [by_row(mapper, encoder, row) for row in rows]
        assert columns.encode(rows, NOW).records == [one[0] if one else None for one in expected]


def test_outbox_row_without_a_payload_is_left_to_the_row_path() -> None:
    mapper, encoder = parts_of(DOSSIER)
    moment = MOMENT
    rows = [
        tuple({"id": number, "luc": moment, "op": "D", "body": body}.get(name) for name in mapper.columns)
        for number, body in enumerate(['{"ma": "H25-1", "tt": {"ten": "Mới"}}', "no JSON", None])
    ]
    found = ColumnEncoder(mapper, encoder).encode(rows, NOW)
    assert found.records[1:] == [None, None]
    expected = by_row(mapper, encoder, rows[0])
    if found.records[0] is not None:
        assert expected is not None
        assert (found.records[0], found.event_ids[0]) == expected[:2]


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=50), st.integers(1, 1000))
def test_partitions_of_many_keys_are_those_of_each(keys: list[bytes], partitions: int) -> None:
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


def test_row_with_a_text_that_is_too_long_is_left_to_the_row_path_and_its_neighbours_are_not() -> None:
    mapper, encoder = parts_of(CITIZEN.replace('full_name = { columns = ["ho", "dem", "ten"] }', 'full_name = "ten"'))
    columns = ColumnEncoder(mapper, encoder)
    given: dict[str, Any] = {"pin": "000299000123", "luc": MOMENT, "ngay": None, "gt": None, "ns": None}
    names = [f"Người {number}" for number in range(600)]
    names[7] = "ế" * 201
    for _ in range(2):  # the first page tells that these values do not come again
        rows = [tuple((given | {"ten": name})[column] for column in mapper.columns) for name in names]
        found = columns.encode(rows, NOW)
        assert [place for place, record in enumerate(found.records) if record is None] == [7]
        assert found.records[8] == by_row(mapper, encoder, rows[8])[0]  # type: ignore[index]
