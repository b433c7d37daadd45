"""A datum joined from its fields' bytes is the datum that the encoder writes."""

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.codec.catalogue import load_catalogue
from hub.codec.cells import cells_of, long_bytes, null_of
from hub.codec.encode import Encoder
from hub.codec.wire import HEADER_BYTES
from hub.topology import all_subjects
from tests.support.schema_samples import sample_event

SECRET = "not-a-secret-of-any-hub"  # noqa: S105 - a value for tests


def joined(subject: str, event: Mapping[str, Any]) -> bytes:
    version = load_catalogue().latest(subject)
    cells = cells_of(version)
    pieces = []
    for spec in version.fields:
        value = event.get(spec.name)
        piece = null_of(version, spec.name) if value is None else cells[spec.name](value)
        assert piece is not None
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("subject", all_subjects())
@pytest.mark.parametrize("optional", [True, False])
def test_joined_cells_are_the_bytes_of_the_encoder(subject: str, optional: bool) -> None:
    event = sample_event(load_catalogue().latest(subject), optional=optional)
    assert joined(subject, event) == Encoder(subject, SECRET).encode(event)[HEADER_BYTES:]


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_number_is_written_as_fastavro_writes_it(value: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, value)
    assert long_bytes(value) == out.getvalue()


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    moment=st.datetimes(timezones=st.just(UTC)),
    year=st.integers(-(2**31), 2**31 - 1),
    day=st.dates(date(1, 1, 1)),
)
def test_values_of_every_kind_are_the_bytes_of_the_encoder(text: str, moment: datetime, year: int, day: date) -> None:
    said: dict[str, Any] = {"native_place": text[:500], "pin": text[:50], "occurred_at": moment, "birth_year": year}
    said |= {"civil_status_doc_date": day}
    event = sample_event(load_catalogue().latest("citizen.changed")) | said
    assert joined("citizen.changed", event) == Encoder("citizen.changed", SECRET).encode(event)[HEADER_BYTES:]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pin", 7),
        ("full_name", "a\0b"),
        ("birth_year", 2**31),
        ("gender", "NONE"),
        ("occurred_at", "2025-07-01"),
    ],
)
def test_cell_refuses_what_the_encoder_refuses(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"is |holds"):
        cells_of(load_catalogue().latest("citizen.changed"))[field](value)


def test_time_is_written_in_utc_whatever_its_offset() -> None:
    cell = cells_of(load_catalogue().latest("citizen.changed"))["occurred_at"]
    moment = datetime(2025, 7, 1, tzinfo=UTC)
    assert cell(moment) == cell(moment.astimezone(tz=None) + timedelta(0))
