"""Kinds of values: every field of every event schema has one, the right one for its name and meaning, and it fits."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.codec.catalogue import FieldKind, FieldSpec, load_catalogue
from hub.codec.schema_check.check import check_folder
from hub.codec.schema_check.problems import Rule
from hub.codec.schema_check.value_kinds import WITH_KIND
from hub.model.entities import SUBJECTS
from hub.model.values.doubtful import DOUBTFUL, Done, Note, notes_in, text_of
from hub.model.values.kinds import KINDS, Why, broken_rule
from tests.support.schema_folder import copy_of_schemas, field_of, optional_field, publish_next

PLAIN_WORDS = {
    "commune_code": r"(^|_)commune_code$|\bcommune\b.*\bcode\b",
    "province_code": r"(^|_)province_code$",
    "district_code": r"(^|_)district_code$",
    "unit_code": r"(^|_)unit_code$|^parent_code$",
    "country_code": r"(^|_)(nationality|country_code)$|ISO 3166",
    "year": r"(^|_)year$",
    "month": r"(^|_)month$|\b1 to 12\b",
    "day": r"(^|_)day$|\b1 to 31\b",
    "score": r"score|\b1 to 5\b",
    "eid_level": r"\b1 or 2\b",
    "phone": r"phone|telephone",
    "email": r"e-?mail",
    "cmnd9": r"cmnd|nine-digit",
    "si_number": r"(^|_)si_number|of 10 digits",
    "dossier_code": r"dossier_code|^Dossier\b.*\bfrom\.$|Codes? of (the|same) dossier",
    "procedure_code": r"procedure_code",
    "sha256": r"^sha256$|SHA-256 of the file",
    "money": r"_vnd$",
    "year_month": r"YYYY-MM",
    "moment": r"RFC 3339",
    "count": r"_(days|seconds|count|pages)$|^How many\b",
}
"""By kind: what in a field's name or meaning says that it is of that kind."""

PIN = r"(^|_)pin$|[Pp]ersonal identification number"


def fields() -> Iterator[tuple[str, str, FieldSpec]]:
    for subject in SUBJECTS:
        for spec in load_catalogue().latest(subject).fields:
            yield subject, spec.name, spec
            yield from ((subject, f"{spec.name}.{item.name}", item) for item in spec.items)


def says(pattern: str, spec: FieldSpec) -> bool:
    return re.search(pattern, spec.name) is not None or re.search(pattern, spec.doc) is not None


def test_every_text_and_number_of_every_event_has_a_kind() -> None:
    lacking = [(subject, path) for subject, path, spec in fields() if spec.kind in WITH_KIND and not spec.value_kind]
    assert lacking == []
    assert {spec.value_kind for *_, spec in fields()} - {""} == set(KINDS), "a kind that no field has is no kind"


def test_field_whose_name_or_meaning_says_a_kind_has_that_kind() -> None:
    wrong = [
        (subject, path, spec.value_kind, kind)
        for subject, path, spec in fields()
        for kind, pattern in PLAIN_WORDS.items()
        if spec.kind in WITH_KIND and says(pattern, spec) and spec.value_kind != kind
    ]
    assert wrong == []
    found = {kind for *_, spec in fields() for kind, pattern in PLAIN_WORDS.items() if says(pattern, spec)}
    assert found == set(PLAIN_WORDS), "each pattern finds something"


def test_personal_number_is_the_key_or_may_be_another_number() -> None:
    pins = {(subject, path): spec for subject, path, spec in fields() if says(PIN, spec)}
    assert {spec.value_kind for (_, path), spec in pins.items() if path == "pin"} == {"pin"}
    assert {spec.value_kind for (_, path), spec in pins.items() if path != "pin"} == {"pin_or_other"}
    assert len(pins) > 10


def test_field_whose_absence_means_something_says_what() -> None:
    absent = {(subject, path): spec for subject, path, spec in fields() if "absent" in spec.doc.lower()}
    assert [at for at, spec in absent.items() if not spec.null_means] == []
    assert ("residence.changed", "country_code") in absent


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rule_of_a_kind_is_told_without_a_value(kind: str) -> None:
    broken = broken_rule(kind)
    for value in ("", "x", " x", "1", "1234", "12345678901", -1, 0, 99_999):
        problem = broken(value)
        if problem is not None:
            assert problem.why in Why
            assert str(value).strip() not in problem.text or len(str(value)) < 2


LOST: list[tuple[str, str, bool]] = [
    ("commune_code", "2635", True),
    ("commune_code", "1", True),
    ("commune_code", "02635", False),
    ("province_code", "1", True),
    ("province_code", "01", False),
    ("district_code", "1", True),
    ("district_code", "001", False),
    ("unit_code", "2635", True),
    ("unit_code", "1", True),
    ("unit_code", "001", False),
    ("pin", "1099000001", True),
    ("pin", "11099000001", True),
    ("pin", "001099000001", False),
    ("pin_or_other", "11099000001", True),
    ("pin_or_other", "123456789", False),
    ("cmnd9", "12345678", False),
]


@pytest.mark.parametrize(("kind", "code", "is_lost"), LOST)
def test_code_without_its_leading_zeros_is_told_as_such(kind: str, code: str, is_lost: bool) -> None:
    problem = broken_rule(kind)(code)
    assert (problem is not None and problem.why is Why.LEADING_ZEROS_LOST) is is_lost


def test_notes_are_read_as_they_are_written() -> None:
    notes = (Note("birth_year", Done.DROPPED, "OUT_OF_RANGE"), Note("documents.sha256", Done.DROPPED, "WRONG_FORM"))
    text = text_of(notes)
    assert text == "birth_year DROPPED OUT_OF_RANGE; documents.sha256 DROPPED WRONG_FORM"
    assert notes_in(text) == notes
    assert broken_rule(DOUBTFUL)(text) is None
    assert text_of([]) is None
    assert notes_in(None) == notes_in("stored content_hash 7") == ()


def rules(folder: Path) -> set[tuple[Rule, str, str]]:
    return {(problem.rule, problem.field, problem.message) for problem in check_folder(folder)}


def add(**changes: Any) -> Any:
    return lambda schema: schema["fields"].append({**optional_field("added"), **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": ""}, "is a text or a number without kind"),
        ({"kind": "shoe_size"}, "has the kind 'shoe_size', which hub.model.values.kinds does not have"),
        ({"kind": "year"}, "has the kind year, which is a number"),
    ],
)
def test_check_refuses_a_new_field_without_a_kind_that_fits(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = copy_of_schemas(tmp_path)
    publish_next(folder, "citizen.changed", add(**changes))
    assert (Rule.KIND, "added", message) in rules(folder)


def test_check_refuses_another_kind_than_before_and_a_schema_without_the_field_for_notes(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)

    def change(schema: dict[str, Any]) -> None:
        field_of(schema, "birth_year").update(kind="count")
        field_of(schema, DOUBTFUL).update(kind="text")

    publish_next(folder, "citizen.changed", change)
    found = rules(folder)
    before = "was of the kind year and is of count: a kind never changes (against v3)"
    assert (Rule.COMPATIBILITY, "birth_year", before) in found
    assert (Rule.KIND, DOUBTFUL, "must be there, an optional text of the kind doubtful_fields") in found


def test_older_versions_without_kinds_stay_as_they_were_published() -> None:
    first = load_catalogue().versions("citizen.changed")[0]
    assert {spec.value_kind for spec in first.fields} == {""}
    assert [spec.name for spec in first.fields if spec.kind is FieldKind.INT][:2] == ["source_epoch", "birth_year"]


@pytest.mark.parametrize("kind", [kind for kind, rule in KINDS.items() if not rule.is_number])
@given(text=st.text(st.sampled_from("0123456789aA @.-/\nxZ:T;_"), max_size=14))
def test_quick_look_at_a_text_says_what_the_rule_says(kind: str, text: str) -> None:
    keeps = KINDS[kind].keeps
    assert (keeps is None or bool(keeps(text))) is (broken_rule(kind)(text) is None)


def test_every_commune_code_of_every_event_is_looked_up_among_the_units() -> None:
    """Also in lists: a list's members cannot be declared as references, so none may hold such a code."""
    found = [(subject, name) for subject, name, spec in fields() if spec.value_kind == "commune_code"]
    looked_up = {
        (subject, reference.field)
        for subject, (_, aspect) in SUBJECTS.items()
        for reference in aspect.references
        if reference.entity == "admin_unit"
    }
    assert ("dossier.submitted", "applicant_commune_code") in found
    assert [one for one in found if one not in looked_up] == []


def test_schema_check_names_a_field_of_the_kind_that_is_not_looked_up(tmp_path: Path) -> None:
    folder = copy_of_schemas(tmp_path)
    publish_next(folder, "dossier.submitted", add(kind="commune_code", data_class="PERSONAL"))
    message = (
        "is a commune_code; add Reference('added', 'admin_unit') to the declaration: otherwise it is not looked up"
    )
    assert (Rule.KEY, "added", message) in rules(folder)
