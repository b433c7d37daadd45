"""The content hash: stable, blind to transport, and unmoved by fields that later versions add."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hub.codec.catalogue import FieldKind, FieldSpec, SchemaVersion, load_catalogue
from hub.codec.content_hash import content_hash
from hub.codec.polars_types import dtype_of
from hub.topology import all_subjects
from tests.support.schema_folder import copy_of_schemas, optional_field, publish_next
from tests.support.schema_samples import sample_event

CITIZEN = load_catalogue().latest("citizen.changed")


def frame(version: SchemaVersion, *events: dict[str, Any]) -> pl.DataFrame:
    columns = {}
    for spec in version.fields:
        values = [event.get(spec.name) for event in events]
        if spec.kind is FieldKind.JSON:
            values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        columns[spec.name] = pl.Series(values, dtype=dtype_of(spec))
    return pl.DataFrame(columns)


def hashes(version: SchemaVersion, *events: dict[str, Any]) -> list[int]:
    return frame(version, *events).select(content_hash(version)).to_series().to_list()


def is_plain(spec: FieldSpec) -> bool:
    return spec.kind in (FieldKind.STRING, FieldKind.INT, FieldKind.LONG)


def test_content_hash_is_the_known_value() -> None:
    # Stored claims carry these: another value would turn every repeated event into a reused version.
    # Rules of values came later; what they drop is hashed as it was said, so the values may break them.
    said = {FieldKind.STRING: "Đường Trần Phú", FieldKind.INT: 7, FieldKind.LONG: 1_500_000}
    full, least = (
        event | {name: said[CITIZEN.field(name).kind] for name in event if is_plain(CITIZEN.field(name))}
        for event in (sample_event(CITIZEN), sample_event(CITIZEN, optional=False))
    )
    assert hashes(CITIZEN, full, least) == [-2728345359550577692, -7511337498264328555]


def test_content_hash_is_a_signed_long_without_nulls() -> None:
    series = frame(CITIZEN, sample_event(CITIZEN, optional=False)).select(content_hash(CITIZEN)).to_series()
    assert series.dtype == pl.Int64
    assert series.null_count() == 0
    assert series.name == "content_hash"


@pytest.mark.parametrize("subject", all_subjects())
def test_content_hash_differs_when_any_data_field_differs(subject: str) -> None:
    version = load_catalogue().latest(subject)
    event = sample_event(version)
    others = [{**event, spec.name: None} for spec in version.fields if spec.nullable and spec in version.data_fields]
    found = hashes(version, event, *others)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("field", "value"),
    [("event_id", b"2" * 16), ("source_version", 9), ("source_epoch", 3), ("correlation_id", None), ("actor", "x")],
)
def test_content_hash_is_equal_when_only_the_transport_differs(field: str, value: Any) -> None:
    event = sample_event(CITIZEN)
    first, second = hashes(CITIZEN, event, {**event, field: value})
    assert first == second


def test_content_hash_differs_when_neighbouring_texts_are_cut_elsewhere() -> None:
    event = sample_event(CITIZEN, optional=False)
    first, second = hashes(
        CITIZEN,
        {**event, "family_name": "ab", "middle_name": "c"},
        {**event, "family_name": "a", "middle_name": "bc"},
    )
    assert first != second


def test_content_hash_of_old_content_stays_when_a_version_adds_fields(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)

    def add(*names: str) -> Any:
        return lambda schema: schema["fields"].extend(optional_field(name) for name in names)

    publish_next(folder, "citizen.changed", add("added_one", "added_two"))
    publish_next(folder, "citizen.changed", add("added_three"))
    third = load_catalogue(folder).latest("citizen.changed")
    event = sample_event(CITIZEN)

    assert [spec.since - CITIZEN.number for spec in third.fields[-3:]] == [1, 1, 2]
    assert hashes(third, event) == hashes(CITIZEN, event)
    used = [{"added_one": "x"}, {"added_two": "x"}, {"added_three": "x"}, {"added_one": "x", "added_three": "x"}]
    found = hashes(third, event, *[{**event, **fields} for fields in used])
    assert len(set(found)) == len(found)


def test_content_hash_counts_equal_values_of_two_added_fields_as_two(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)
    for name in ("added_one", "added_two"):
        field = optional_field(name)
        publish_next(folder, "citizen.changed", lambda schema, field=field: schema["fields"].append(field))  # type: ignore[misc]
    version = load_catalogue(folder).latest("citizen.changed")
    event = sample_event(CITIZEN)
    one, two = {"added_one": "x"}, {"added_two": "x"}
    found = hashes(version, event, {**event, **one}, {**event, **two}, {**event, **one, **two})
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("subject", all_subjects())
def test_content_hash_of_an_event_is_the_same_under_every_later_version(subject: str) -> None:
    versions = load_catalogue().versions(subject)
    for older, newer in pairwise(versions):
        event = sample_event(older)
        assert hashes(newer, event) == hashes(older, event), (older.number, newer.number)
