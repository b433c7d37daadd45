"""How long texts may be: checked on the way in, by the encoder and at the source; limits fit every index."""

from collections.abc import Iterator
from math import prod
from typing import Any

import pytest
from sqlalchemy import Index, Table
from sqlalchemy.types import String

from hub.codec.catalogue import FieldKind, FieldSpec, load_catalogue
from hub.codec.encode import Encoder
from hub.intake.checks.check import SourceRules, check
from hub.intake.checks.lengths import suspected
from hub.model.declaration import Aspect, Entity
from hub.model.entities import ENTITIES, SUBJECTS
from hub.model.errors import PoisonError
from hub.model.policies.policy import parse_policy
from hub.topology import MAX_RECORD_BYTES, MAX_SHARED_BYTES
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables
from tests.support.schema_samples import sample_event
from tests.unit.intake.checks.test_check import GOOD, frame_of

SECRET = "a secret of the tests"  # noqa: S105 - of no system
MOST_INDEX_BYTES = 2_704
"""Of a row of a B-tree, in the server's pages of 8 kB."""
CHARACTER_BYTES = 4
"""Most bytes of a character in UTF-8."""
POLICY = parse_policy(
    b"""
    [[source]]
    code = "old"
    agency = "H25"
    role = "province"
    subjects = ["residence.changed", "dossier.submitted", "citizen.changed"]
    """
)


def texts() -> Iterator[tuple[str, FieldSpec]]:
    for subject in SUBJECTS:
        for spec in load_catalogue().latest(subject).fields:
            if spec.kind is FieldKind.STRING:
                yield subject, spec
            yield from ((subject, item) for item in spec.items if item.kind is FieldKind.STRING)


def refusals(subject: str, *rows: dict[str, Any]) -> list[tuple[int, str, str]]:
    version, (entity, aspect) = load_catalogue().latest(subject), SUBJECTS[subject]
    found = check(frame_of(subject, list(rows)), version, entity, aspect, SourceRules.of(POLICY, {"old": 7}), SECRET)
    assert found.passed.height + found.refused.height == len(rows)
    return found.refused.select("row", "reason", "detail").rows()


DOSSIER = GOOD | {"dossier_code": "H25-250601-0001", "procedure_code": "1.001193"}
PERSON = GOOD | {"full_name": "A"}


def test_every_text_of_an_event_has_a_longest_form() -> None:
    assert [(subject, spec.name) for subject, spec in texts() if not spec.max_length] == []
    assert sum(1 for _ in texts()) > 200


def test_limits_of_the_portal_are_kept() -> None:
    lengths = {(subject, spec.name, spec.doc): spec.max_length for subject, spec in texts()}
    assert {length for (_, name, _), length in lengths.items() if name == "dossier_code"} == {50}
    assert lengths["dossier.submitted", "summary", "Summary of the dossier."] == 1_000
    assert lengths["dossier.submitted", "name", "Name of the document."] == 4_000
    assert lengths["dossier.progressed", "name", "Name of the document."] == 2_000
    assert lengths["dossier.progressed", "step_officer_name", "Officer who handles the step."] == 50


@pytest.mark.parametrize("character", ["x", "ế", "\U00020000"])
@pytest.mark.parametrize("over", [0, 1])
def test_text_is_refused_when_it_has_more_characters_than_the_schema_takes(character: str, over: int) -> None:
    rows = PERSON, PERSON | {"full_name": character * (200 + over)}, PERSON
    refused = [(1, "INVALID_VALUE", "full_name: longer than 200 characters")]
    assert refusals("citizen.changed", *rows) == refused * over


@pytest.mark.parametrize("over", [0, 1])
def test_optional_text_is_refused_too_and_never_cut(over: int) -> None:
    rows = PERSON, PERSON | {"other_name": "ế" * (200 + over)}, PERSON
    assert refusals("citizen.changed", *rows) == [(1, "INVALID_VALUE", "other_name: longer than 200 characters")] * over


@pytest.mark.parametrize("character", ["x", "ế", r"\"", r"\\", r"\u0007"])
@pytest.mark.parametrize("over", [0, 1])
def test_required_text_inside_a_list_is_refused_when_it_has_too_many_characters(character: str, over: int) -> None:
    listed = f'[{{"system":"a","code":"b"}},{{"system":"a","code":"{character * (50 + over)}"}}]'
    whole = f'[{{"system":"a","code":"{character * 50}"}}]'
    rows = DOSSIER, DOSSIER | {"alt_codes": listed}, DOSSIER | {"alt_codes": whole}
    refused = [(1, "INVALID_VALUE", "alt_codes.code: longer than 50 characters")]
    assert refusals("dossier.submitted", *rows) == refused * over


def test_text_that_only_looks_like_a_long_member_of_a_list_is_taken() -> None:
    said = r"\"code\":\"" + "x" * 60
    listed = f'[{{"component_code":"a","name":"{said}"}}]'
    assert refusals("dossier.submitted", DOSSIER | {"documents": listed}) == []


def test_rule_comes_before_the_length_and_the_length_before_the_key() -> None:
    rows = PERSON | {"pin": "1" * 13}, PERSON | {"full_name": "x" * 201}
    frame = frame_of("citizen.changed", list(rows), [bytes(16), bytes(16)])
    version, (entity, aspect) = load_catalogue().latest("citizen.changed"), SUBJECTS["citizen.changed"]
    found = check(frame, version, entity, aspect, SourceRules.of(POLICY, {"old": 7}), SECRET)
    assert found.refused["detail"].to_list() == [
        "pin: does not match ^[0-9]{12}$",
        "full_name: longer than 200 characters",
    ]


def test_nothing_is_suspected_of_what_is_short() -> None:
    version = load_catalogue().latest("citizen.changed")
    frame = frame_of("citizen.changed", [PERSON, PERSON | {"full_name": "ế" * 60}])
    assert suspected(frame, version, frame.columns) == frozenset()
    assert suspected(frame.clear(), version, frame.columns) == frozenset()


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_i8_encoder_refuses_a_text_that_is_too_long_and_names_the_field(subject: str) -> None:
    event = sample_event(load_catalogue().latest(subject))
    encoder = Encoder(subject, SECRET)
    encoder.encode(event)
    for spec in encoder.version.fields:
        if spec.kind is not FieldKind.STRING:
            continue
        assert spec.max_length
        encoder.encode(event | {spec.name: "ế" * spec.max_length})
        with pytest.raises(PoisonError, match=f"{spec.name} is longer than {spec.max_length} characters") as refused:
            encoder.encode(event | {spec.name: "ế" * (spec.max_length + 1)})
        assert "ế" not in str(refused.value)


def indexed() -> Iterator[tuple[AspectTables, str, tuple[str, ...]]]:
    """Yield the column names of every index and key of every table of an aspect."""
    for tables in all_aspect_tables():
        for table in (tables.claim, tables.record, tables.sensitive, tables.history):
            if isinstance(table, Table):
                in_order = sorted(table.indexes, key=lambda index: str(index.name))
                sets = [index.columns for index in in_order] + [table.primary_key.columns]
                yield from ((tables, table.name, tuple(column.name for column in columns)) for columns in sets)


def most_bytes(tables: AspectTables, table: str, column: str) -> int:
    """Most bytes that a column can take in an index; a symbol's name is a text that the schema closes."""
    specs = {spec.name: spec for spec in load_catalogue().latest(tables.aspect.subject).fields}
    found = next(one for one in tables.claim.columns if one.name == column)
    if not isinstance(found.type, String):
        return 16
    spec = specs[column]
    longest = max(map(len, spec.symbols)) if spec.symbols else spec.max_length
    assert longest, f"{table}.{column} has no longest form"
    return CHARACTER_BYTES * longest


@pytest.mark.parametrize(
    ("tables", "table", "columns"), [pytest.param(*one, id=f"{one[1]}: {', '.join(one[2])}") for one in indexed()]
)
def test_no_row_of_an_index_can_be_too_long_for_the_server(
    tables: AspectTables, table: str, columns: tuple[str, ...]
) -> None:
    assert sum(8 + most_bytes(tables, table, column) for column in columns) + 16 <= MOST_INDEX_BYTES


def most_of_an_aspect(entity: Entity, aspect: Aspect) -> int:
    """Most bytes that an aspect's part of a golden record can have; an event with a list is bound by its own size."""
    version = load_catalogue().latest(aspect.subject)
    fields = [spec for spec in version.data_fields if spec.name not in entity.key]
    if any(spec.kind is FieldKind.JSON for spec in fields):
        return MAX_RECORD_BYTES
    texts = sum(CHARACTER_BYTES * (spec.max_length or 0) for spec in fields if spec.kind is FieldKind.STRING)
    times = prod(len(version.field(name).symbols) for name in aspect.part)
    return times * (texts + 16 * len(version.fields))


@pytest.mark.parametrize("entity", [one for one in ENTITIES if one.record_topic], ids=lambda entity: entity.name)
def test_golden_record_of_one_key_can_not_be_larger_than_its_topic_takes(entity: Entity) -> None:
    assert sum(most_of_an_aspect(entity, aspect) for aspect in entity.aspects) < MAX_SHARED_BYTES


def test_indexes_are_looked_at() -> None:
    names = {index.name for tables in all_aspect_tables() for index in tables.claim.indexes if isinstance(index, Index)}
    assert {"citizen_person_claim_cmnd9", "citizen_insurance_claim_si_number_legacy"} <= names
