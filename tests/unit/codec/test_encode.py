"""The encoder writes what a reader takes, and names a wrong field without its value."""

import io
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import fastavro
import pytest

from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.wire import unframe
from hub.model.entities import key_fields_of
from hub.model.errors import PoisonError
from hub.model.keys import entity_key
from hub.model.outcomes import Reason
from hub.topology import all_subjects
from tests.support.schema_samples import OCCURRED_AT, sample_event

SECRET = "not-a-secret-of-any-hub"  # noqa: S105 - a value for tests
CITIZEN = load_catalogue().latest("citizen.changed")
DOSSIER = load_catalogue().latest("dossier.submitted")


def decoded(subject: str, value: bytes) -> dict[str, Any]:
    schema_id, datum = unframe(value)
    version = load_catalogue().by_id(schema_id)
    assert version is not None
    assert version.subject == subject
    stream = io.BytesIO(datum)
    event = fastavro.schemaless_reader(stream, fastavro.parse_schema(dict(version.schema)))
    assert stream.read() == b""
    assert isinstance(event, dict)
    return event


@pytest.mark.parametrize("subject", load_catalogue().subjects)
def test_encode_gives_every_field_back_when_all_are_said(subject: str) -> None:
    event = sample_event(load_catalogue().latest(subject))
    assert decoded(subject, Encoder(subject, SECRET).encode(event)) == event


@pytest.mark.parametrize("subject", load_catalogue().subjects)
def test_encode_writes_null_for_optional_fields_when_they_are_missing(subject: str) -> None:
    version = load_catalogue().latest(subject)
    event = sample_event(version, optional=False)
    empty = {spec.name: None for spec in version.fields if spec.nullable}
    assert decoded(subject, Encoder(subject, SECRET).encode(event)) == {**empty, **event}


def test_encode_takes_a_uuid_or_its_bytes_for_the_event_id() -> None:
    encoder = Encoder("citizen.changed", SECRET)
    by_uuid, by_bytes = (
        encoder.encode(sample_event(CITIZEN, event_id=value)) for value in (UUID(int=9), UUID(int=9).bytes)
    )
    assert by_uuid == by_bytes
    assert decoded("citizen.changed", by_bytes)["event_id"] == UUID(int=9).bytes


def test_encode_writes_times_in_utc_when_they_come_with_another_offset() -> None:
    hanoi = OCCURRED_AT.astimezone(timezone(timedelta(hours=7)))
    value = Encoder("citizen.changed", SECRET).encode(sample_event(CITIZEN, occurred_at=hanoi))
    assert decoded("citizen.changed", value)["occurred_at"] == OCCURRED_AT


def test_encode_writes_times_inside_lists_as_rfc_3339() -> None:
    paid_at = datetime(2025, 7, 1, tzinfo=timezone(timedelta(hours=7)))
    event = sample_event(DOSSIER, fees=[{"name": "Lệ phí", "amount_vnd": 50_000, "paid_at": paid_at}])
    fee = decoded("dossier.submitted", Encoder("dossier.submitted", SECRET).encode(event))["fees"][0]
    assert fee["paid_at"] == "2025-06-30T17:00:00.000000Z"
    assert fee["method"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pin", None),
        ("pin", 1299000123),
        ("full_name", "Nguyễn\0Văn"),
        ("full_name", "\ud800"),
        ("birth_year", 2**31),
        ("birth_year", True),
        ("birth_year", "2099"),
        ("source_version", 2**63),
        ("source_version", 1.0),
        ("occurred_at", datetime(2025, 7, 1)),  # noqa: DTZ001 - what must be refused
        ("occurred_at", "2025-07-01T00:00:00Z"),
        ("civil_status_doc_date", datetime(2025, 7, 1, tzinfo=UTC)),
        ("civil_status_doc_date", 20250701),
        ("gender", "NAM"),
        ("operation", "DELETE"),
        ("event_id", b"short"),
        ("event_id", str(UUID(int=1))),
    ],
)
def test_i8_encode_names_the_wrong_field_and_never_its_value(field: str, value: Any) -> None:
    with pytest.raises(PoisonError) as caught:
        Encoder("citizen.changed", SECRET).encode(sample_event(CITIZEN, **{field: value}))
    assert caught.value.reason == Reason.INVALID_VALUE
    assert f"citizen.changed: {field} " in caught.value.detail
    assert caught.value.__cause__ is None
    assert value is None or str(value) not in caught.value.detail


@pytest.mark.parametrize(
    ("fees", "detail"),
    [
        ({"name": "x"}, "fees is not a list"),
        (["x"], "fees [0]: is not a mapping"),
        ([{"amount_vnd": 1}], "fees [0]: name is required"),
        ([{"name": "x", "amount_vnd": 1}, {"name": "x", "amount_vnd": 0.5}], "fees [1]: amount_vnd is not a whole"),
        ([{"name": "x", "amount_vnd": 1, "kind": "TAX"}], "fees [0]: kind is none of"),
        ([{"name": "x", "amount_vnd": 1, "paid_at": "01/07/2025"}], "fees [0]: paid_at is not an RFC 3339"),
        ([{"name": "x", "amount_vnd": 1, "colour": "red"}], "fees [0]: colour: no such field"),
    ],
)
def test_encode_names_the_place_inside_a_list(fees: Any, detail: str) -> None:
    with pytest.raises(PoisonError) as caught:
        Encoder("dossier.submitted", SECRET).encode(sample_event(DOSSIER, fees=fees))
    assert detail in caught.value.detail


def test_encode_refuses_a_field_that_the_schema_does_not_have() -> None:
    with pytest.raises(PoisonError, match="fullname: no such field"):
        Encoder("citizen.changed", SECRET).encode(sample_event(CITIZEN, fullname="x"))


def test_key_is_the_keyed_hash_of_the_key_fields() -> None:
    key = Encoder("admin_unit.changed", SECRET).key(
        {"scheme": "GSO_2025", "unit_code": "00004", "valid_from": date(2025, 7, 1)}
    )
    assert key == entity_key(SECRET, "admin_unit", ["GSO_2025", "00004"])


def test_key_is_the_same_for_all_aspects_of_an_entity() -> None:
    keys = {
        Encoder(subject, SECRET).key({"pin": "001299000123"}) for subject in ("citizen.changed", "residence.changed")
    }
    assert len(keys) == 1


@pytest.mark.parametrize("subject", all_subjects())
@pytest.mark.parametrize("value", [None, "", 7])
def test_key_names_the_field_when_it_is_missing_or_no_text(subject: str, value: Any) -> None:
    event = dict.fromkeys(key_fields_of(subject)[1], value)
    with pytest.raises(PoisonError, match="is part of the key and must be text"):
        Encoder(subject, SECRET).key(event)


def test_key_of_a_golden_record_is_its_own_key() -> None:
    record = sample_event(load_catalogue().latest("citizen.record"))
    assert Encoder("citizen.record", SECRET).key(record) == record["key"]
    with pytest.raises(PoisonError, match="key is neither"):
        Encoder("citizen.record", SECRET).key({})
