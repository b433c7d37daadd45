"""The catalogue: ids, versions, field kinds, and golden records that follow their events."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hub.codec.catalogue import DataClass, FieldKind, FieldSpec, load_catalogue
from hub.codec.fields import UnsupportedTypeError, fields_of
from hub.codec.polars_types import dtype_of
from hub.codec.schema_check.assign import plan_assignments, write_assignments
from hub.model.declaration import Aspect, Entity
from hub.model.entities import ENTITIES
from hub.model.envelope import ENVELOPE_FIELDS
from hub.model.errors import ConfigError
from hub.model.values.doubtful import DOUBTFUL
from hub.share.columns.aspects import field_of
from hub.topology import HEAD_SUBJECT, all_subjects, record_topics
from tests.support.schema_folder import copy_of_schemas, edit_schema, optional_field, publish_next

CATALOGUE = load_catalogue()


def test_catalogue_has_every_subject_and_every_record() -> None:
    records = {f"{name}.record" for name in record_topics()}
    assert set(CATALOGUE.subjects) == {*all_subjects(), *records, HEAD_SUBJECT}


@pytest.mark.parametrize("subject", all_subjects())
def test_fields_begin_with_the_envelope(subject: str) -> None:
    version = CATALOGUE.latest(subject)
    assert tuple(spec.name for spec in version.fields[: len(ENVELOPE_FIELDS)]) == ENVELOPE_FIELDS
    assert [*version.data_fields, version.field(DOUBTFUL)] == [*version.fields[len(ENVELOPE_FIELDS) :]]
    assert CATALOGUE.by_id(version.schema_id) is version


def test_ids_of_version_one_are_those_that_are_in_use() -> None:
    # They stand in every stored record: none may ever change.
    assert {subject: CATALOGUE.versions(subject)[0].schema_id for subject in CATALOGUE.subjects} == {
        "citizen.changed": 1001,
        "identity.changed": 1002,
        "residence.changed": 1003,
        "health_insurance.linked": 1004,
        "dossier.submitted": 1005,
        "dossier.progressed": 1006,
        "procedure.changed": 1007,
        "admin_unit.changed": 1008,
        "social_payment.changed": 1009,
        "inspection.changed": 1010,
        "citizen.record": 1011,
        "dossier.record": 1012,
        "review.decided": 1013,
        "flag.record": 1014,
        "evidence.head": 1017,
    }
    assert CATALOGUE.by_id(1) is None


@pytest.mark.parametrize(
    ("name", "kind", "dtype"),
    [
        ("event_id", FieldKind.UUID, pl.Binary()),
        ("occurred_at", FieldKind.TIMESTAMP, pl.Datetime("us", "UTC")),
        ("source_epoch", FieldKind.INT, pl.Int32()),
        ("source_version", FieldKind.LONG, pl.Int64()),
        ("operation", FieldKind.ENUM, pl.String()),
        ("scheme", FieldKind.ENUM, pl.String()),
        ("unit_code", FieldKind.STRING, pl.String()),
        ("valid_from", FieldKind.DATE, pl.Date()),
        ("successors", FieldKind.JSON, pl.String()),
    ],
)
def test_field_kinds_and_column_types(name: str, kind: FieldKind, dtype: pl.DataType) -> None:
    spec = CATALOGUE.latest("admin_unit.changed").field(name)
    assert spec.kind is kind
    assert dtype_of(spec) == dtype


def test_a_named_type_used_twice_keeps_its_symbols() -> None:
    unit = CATALOGUE.latest("admin_unit.changed")
    assert unit.field("scheme").symbols == unit.field("unit_scheme").symbols == ("GSO_2004", "GSO_2025")


def test_a_field_without_class_counts_as_sensitive() -> None:
    schema = {"type": "record", "name": "x", "fields": [{"name": "a", "type": "double"}]}
    assert fields_of(schema)[0].data_class is DataClass.SENSITIVE
    assert dtype_of(fields_of(schema)[0]) == pl.Float64()


@pytest.mark.parametrize(
    "avro",
    ["bytes", ["string", "int"], ["null"], {"type": "array", "items": "string"}, {"type": "long", "logicalType": "x"}],
)
def test_fields_of_names_the_field_when_its_type_is_not_carried(avro: Any) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"^a: "):
        fields_of({"type": "record", "name": "x", "fields": [{"name": "a", "type": avro}]})


def test_latest_version_holds_all_fields_and_knows_who_introduced_them(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)
    publish_next(folder, "citizen.changed", lambda schema: schema["fields"].append(optional_field("second")))
    publish_next(folder, "citizen.changed", lambda schema: schema["fields"].append(optional_field("third")))
    catalogue = load_catalogue(folder)

    published = CATALOGUE.latest("citizen.changed").number
    latest = catalogue.latest("citizen.changed")
    numbers = [version.number for version in catalogue.versions("citizen.changed")]
    assert numbers == list(range(1, published + 3))
    assert latest.number == published + 2
    assert {spec.name: spec.since for spec in latest.fields if spec.since > 1} == {
        DOUBTFUL: 3,
        "second": published + 1,
        "third": published + 2,
    }
    following = max(found.schema_id for subject in CATALOGUE.subjects for found in CATALOGUE.versions(subject)) + 1
    assert [version.schema_id for version in catalogue.versions("citizen.changed")][-2:] == [following, following + 1]


def test_load_lists_all_problems_at_once(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)
    edit_schema(folder, "citizen.changed", lambda schema: schema.update(doc="Edited."))
    following = CATALOGUE.latest("identity.changed").number + 1
    copied = (folder / "identity.changed" / "v1.avsc").read_text()
    (folder / "identity.changed" / f"v{following}.avsc").write_text(copied)
    (folder / "residence.changed" / "v1.avsc").write_text("[]")
    with pytest.raises(ConfigError) as caught:
        load_catalogue(folder)
    problems = " | ".join(caught.value.problems)
    assert "citizen.changed v1: was edited" in problems
    assert f"identity.changed v{following}: has no id" in problems
    assert "residence.changed/v1.avsc: is not an Avro record" in problems


def test_assign_gives_ids_to_new_files_only_and_keeps_the_others(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)
    before = (folder / "ids.json").read_text()
    assert plan_assignments(folder) == ()
    write_assignments(folder, ())
    assert (folder / "ids.json").read_text() == before
    edit_schema(folder, "citizen.changed", lambda schema: schema.update(doc="Edited."))
    assert plan_assignments(folder) == ()


ASPECTS = [(entity, aspect) for entity in ENTITIES if entity.record_topic for aspect in entity.aspects]
_HEADER = 6
"""source, occurred_at, source_epoch, source_version, operation, unit_scheme."""


@pytest.mark.parametrize(("entity", "aspect"), ASPECTS, ids=[aspect.name for _, aspect in ASPECTS])
def test_golden_record_has_the_data_fields_of_each_aspect(entity: Entity, aspect: Aspect) -> None:
    record = CATALOGUE.latest(f"{entity.name}.record")
    said = record.field(field_of(aspect)).items[_HEADER:]
    expected = [spec for spec in CATALOGUE.latest(aspect.subject).data_fields if spec.name not in entity.key]
    assert [shape(spec) for spec in said[: len(expected)]] == [shape(spec) for spec in expected]
    assert all(spec.nullable for spec in said[: len(expected)])
    resolved = [spec.name for spec in said[len(expected) :]]
    assert resolved == [*(name for unit in aspect.units for name in (f"{unit.code}_now", unit.resolution)), DOUBTFUL]


def shape(spec: FieldSpec) -> tuple[Any, ...]:
    items = tuple((*shape(item), item.nullable) for item in spec.items)
    return spec.name, spec.kind, spec.value_kind, spec.data_class, spec.vn_name, spec.symbols, spec.text_format, items


STATUSES = (
    ("REGISTERED", "Mới đăng ký", 1),
    ("ACCEPTED", "Được tiếp nhận", 2),
    ("REJECTED_AT_INTAKE", "Không được tiếp nhận", 3),
    ("IN_PROCESS", "Đang xử lý", 4),
    ("SUPPLEMENT_REQUESTED", "Yêu cầu bổ sung giấy tờ", 5),
    ("PAYMENT_REQUIRED", "Yêu cầu thực hiện nghĩa vụ tài chính", 6),
    ("WITHDRAWN", "Công dân yêu cầu rút hồ sơ", 7),
    ("STOPPED", "Dừng xử lý", 8),
    ("RESULT_READY", "Đã xử lý xong", 9),
    ("RESULT_RETURNED", "Đã trả kết quả", 10),
    ("UNKNOWN", "Không rõ", None),
)


@pytest.mark.parametrize("name", ["status", "previous_status"])
def test_statuses_have_the_names_and_numbers_of_the_national_portal(name: str) -> None:
    items = {spec.name: spec for spec in CATALOGUE.latest("dossier.record").field("progress").items}
    spec = items[name]
    assert tuple(zip(spec.symbols, spec.symbol_names, spec.symbol_codes, strict=True)) == STATUSES


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("applicant_type", {"CITIZEN": 1, "BUSINESS": 2, "AGENCY": 3, "OTHER": 4}),
        ("channel", {"DIRECT": 1, "ONLINE": 2, "POSTAL": 3}),
        ("applicant_id_type", {"PIN": 1, "CMND9": 2}),
    ],
)
def test_submission_has_the_numbers_of_the_national_portal(name: str, codes: dict[str, int]) -> None:
    items = {spec.name: spec for spec in CATALOGUE.latest("dossier.record").field("submission").items}
    spec = items[name]
    found = dict(zip(spec.symbols, spec.symbol_codes, strict=True))
    assert {symbol: code for symbol, code in found.items() if code is not None} == codes


def test_revision_says_that_it_is_no_version() -> None:
    for subject in ("citizen.record", "dossier.record"):
        assert "digest of the content, not a version" in CATALOGUE.latest(subject).field("revision").doc


def _lists(fields: Iterable[FieldSpec], prefix: str = "") -> Iterator[tuple[str, FieldSpec]]:
    """Yield every field that has a closed list of symbols, those inside lists too."""
    for spec in fields:
        if spec.symbols:
            yield f"{prefix}{spec.name}", spec
        yield from _lists(spec.items, f"{prefix}{spec.name}.")


@pytest.mark.parametrize("subject", all_subjects())
def test_every_symbol_of_the_newest_event_schema_has_a_vietnamese_name(subject: str) -> None:
    nameless = [
        path
        for path, spec in _lists(CATALOGUE.latest(subject).fields)
        if not (spec.symbol_names and all(name.strip() for name in spec.symbol_names))
    ]
    assert nameless == []


def test_symbol_of_an_event_has_the_name_and_the_portals_number_that_the_golden_record_gives_it() -> None:
    said = {
        (spec.name, spec.symbols): (spec.symbol_names, spec.symbol_codes)
        for name in record_topics()
        for _, spec in _lists(CATALOGUE.latest(f"{name}.record").fields)
    }
    compared = 0
    for entity in (one for one in ENTITIES if one.record_topic):
        for aspect in entity.aspects:
            for path, spec in _lists(CATALOGUE.latest(aspect.subject).data_fields):
                if (spec.name, spec.symbols) in said:
                    compared += 1
                    assert (spec.symbol_names, spec.symbol_codes) == said[spec.name, spec.symbols], path
    assert compared > 20


def _nameless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _nameless(part) for name, part in value.items() if name not in ("vn_names", "src_codes")}
    return [_nameless(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("subject", all_subjects())
def test_version_that_named_the_symbols_says_the_same_as_the_one_before(subject: str) -> None:
    versions = CATALOGUE.versions(subject)
    named = next(one for one in versions if all(spec.symbol_names for _, spec in _lists(one.fields)))
    before = versions[versions.index(named) - 1]
    assert _nameless(named.schema) == _nameless(before.schema)
