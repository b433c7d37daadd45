"""Any valid event survives encoding; old bytes stay readable with the newest schema."""

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.codec.catalogue import FieldKind, FieldSpec, SchemaVersion, load_catalogue
from hub.codec.encode import Encoder
from hub.codec.wire import unframe
from tests.support.schema_folder import copy_of_schemas, optional_field, publish_next

SECRET = "not-a-secret-of-any-hub"  # noqa: S105 - a value for tests
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone follows
_VALUES: dict[FieldKind, st.SearchStrategy[Any]] = {
    FieldKind.STRING: _TEXT,
    FieldKind.INT: st.integers(-(2**31), 2**31 - 1),
    FieldKind.LONG: st.integers(-(2**63), 2**63 - 1),
    FieldKind.BOOLEAN: st.booleans(),
    FieldKind.UUID: st.binary(min_size=16, max_size=16),
    FieldKind.TIMESTAMP: _TIMES,
    FieldKind.DATE: st.dates(date(1900, 1, 1), date(2999, 1, 1)),
}


def values(spec: FieldSpec) -> st.SearchStrategy[Any]:
    """Return a strategy of a field's values, null included where it may be."""
    if spec.kind is FieldKind.JSON:
        found: st.SearchStrategy[Any] = records(spec.items)
        found = st.lists(found, max_size=2) if spec.is_array else found
    elif spec.symbols:
        found = st.sampled_from(spec.symbols)
    elif spec.text_format == "date-time":
        found = _TIMES.map(lambda time: time.isoformat(timespec="microseconds").replace("+00:00", "Z"))
    else:
        found = _VALUES[spec.kind]
    return st.none() | found if spec.nullable else found


def records(fields: tuple[FieldSpec, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of mappings with a value for every field."""
    return st.fixed_dictionaries({spec.name: values(spec) for spec in fields})


def read(value: bytes, writer: SchemaVersion, reader: SchemaVersion) -> Any:
    schema_id, datum = unframe(value)
    assert schema_id == writer.schema_id
    written = fastavro.parse_schema(dict(writer.schema))
    return fastavro.schemaless_reader(io.BytesIO(datum), written, fastavro.parse_schema(dict(reader.schema)))


@pytest.mark.parametrize("subject", load_catalogue().subjects)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_event_is_read_as_it_was_written(subject: str, data: st.DataObject) -> None:
    version = load_catalogue().latest(subject)
    event = data.draw(records(version.fields))
    assert read(Encoder(subject, SECRET).encode(event), version, version) == event


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the schemas in which citizen.changed has a further version."""
    folder = copy_of_schemas(tmp_path_factory.mktemp("grown"))
    publish_next(folder, "citizen.changed", lambda schema: schema["fields"].append(optional_field("added")))
    return folder


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_i6_old_bytes_are_read_with_the_new_schema_and_new_bytes_with_the_old(grown: Path, data: st.DataObject) -> None:
    *_, first, second = load_catalogue(grown).versions("citizen.changed")
    event = data.draw(records(second.fields))
    old_event = {name: value for name, value in event.items() if name != "added"}
    old_value = Encoder("citizen.changed", SECRET).encode(old_event)
    new_value = Encoder("citizen.changed", SECRET, load_catalogue(grown)).encode(event)

    assert read(old_value, first, second) == {**old_event, "added": None}
    assert read(new_value, second, first) == old_event
