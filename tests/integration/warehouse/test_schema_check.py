"""The schema check finds what it must, names where, and passes the project's own schemas with all their ancestors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.codec.catalogue import load_catalogue, schemas_folder
from hub.codec.schema_check.check import check_folder
from hub.codec.schema_check.problems import Rule
from hub.model.errors import ConfigError
from tests.support.schema_folder import copy_of_schemas, edit_schema, field_of, optional_field, publish_next, republish

SUBJECT = "citizen.changed"


def test_i6_every_schema_passes_with_all_its_ancestors() -> None:
    assert check_folder(schemas_folder()) == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_of_schemas(tmp_path)


def rules(folder: Path, subject: str = SUBJECT) -> set[tuple[Rule, str]]:
    return {(problem.rule, problem.field) for problem in check_folder(folder) if problem.subject == subject}


def test_check_reports_a_published_file_that_was_edited(folder: Path) -> None:
    edit_schema(folder, SUBJECT, lambda schema: field_of(schema, "pin").update(doc="Another text."))
    assert rules(folder) == {(Rule.EDITED, "")}
    with pytest.raises(ConfigError, match="edited after it was published"):
        load_catalogue(folder)


def test_check_takes_another_layout_of_the_same_file(folder: Path) -> None:
    edit_schema(folder, SUBJECT, lambda schema: None)
    assert rules(folder) == set()


def test_check_reports_a_file_without_id_and_an_id_without_file(folder: Path) -> None:
    newest = load_catalogue().latest(SUBJECT).number
    (folder / SUBJECT / f"v{newest}.avsc").rename(folder / SUBJECT / f"v{newest + 1}.avsc")
    messages = [str(problem) for problem in check_folder(folder)]
    assert any("has no id" in message for message in messages)
    assert any("its file is gone" in message for message in messages)
    assert any(f"v{newest}.avsc is missing" in message for message in messages)


def test_check_reports_an_id_given_twice(folder: Path) -> None:
    ids = folder / "ids.json"
    ids.write_text(ids.read_text().replace("1002", "1001"))
    assert rules(folder) == {(Rule.ID, "")}


def test_check_reports_unreadable_files_and_unknown_subjects(folder: Path) -> None:
    (folder / SUBJECT / "v1.avsc").write_text("{")
    (folder / "pet.changed").mkdir()
    (folder / "pet.changed" / "first.avsc").write_text("{}")
    messages = [str(problem) for problem in check_folder(folder)]
    assert any(message.startswith("citizen.changed/v1.avsc:") for message in messages)
    assert any(message.startswith("pet.changed/first.avsc:") for message in messages)


def set_type(name: str, avro: Any) -> Callable[[dict[str, Any]], None]:
    return lambda schema: field_of(schema, name).update(type=avro)


def drop(name: str, *labels: str) -> Callable[[dict[str, Any]], None]:
    def edit(schema: dict[str, Any]) -> None:
        for label in labels:
            field_of(schema, name).pop(label, None)

    return edit


def add(**field: Any) -> Callable[[dict[str, Any]], None]:
    return lambda schema: schema["fields"].append(changed("added", field))


def changed(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """A well-formed optional field with some changes; what is no text any more has no longest form either."""
    field = {**optional_field(name), **changes}
    if "string" not in field["type"]:
        field.pop("max_length")
        field.pop("kind")
    return field


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (drop("pin", "vn_name"), (Rule.LABEL, "pin")),
        (drop("pin", "doc"), (Rule.LABEL, "pin")),
        (drop("pin", "data_class"), (Rule.LABEL, "pin")),
        (add(data_class="SECRET"), (Rule.LABEL, "added")),
        (add(name="homeAddress"), (Rule.NAME, "homeAddress")),
        (lambda schema: schema.update(name="altered"), (Rule.NAME, "")),
        (lambda schema: schema.pop("vn_name"), (Rule.LABEL, "")),
        (drop("email", "default"), (Rule.OPTIONAL, "email")),
        (add(default="x"), (Rule.OPTIONAL, "added")),
        (add(type=["string", "null"]), (Rule.OPTIONAL, "added")),
        (add(type="string", default="x"), (Rule.OPTIONAL, "added")),
        (set_type("pin", ["null", "string"]), (Rule.KEY, "pin")),
        (set_type("pin", "long"), (Rule.KEY, "pin")),
        (add(name="fee_vnd", type=["null", "double"]), (Rule.MONEY, "fee_vnd")),
        (add(name="fee", type=["null", "double"]), (Rule.MONEY, "fee")),
        (add(type=["null", {"type": "enum", "name": "Added", "symbols": ["A"]}]), (Rule.ENUM, "added")),
        (add(type=["null", {"type": "map", "values": "string"}]), (Rule.PARSE, "")),
        (add(type=["null", "no_such_type"]), (Rule.PARSE, "")),
        (drop("source_epoch", "doc"), (Rule.ENVELOPE, "")),
        (set_type("source_epoch", "long"), (Rule.ENVELOPE, "source_epoch")),
        (lambda schema: schema["fields"].reverse(), (Rule.ENVELOPE, "")),
    ],
)
def test_check_reports_a_broken_rule(
    folder: Path, edit: Callable[[dict[str, Any]], None], expected: tuple[Rule, str]
) -> None:
    republish(folder, SUBJECT, edit)
    assert expected in rules(folder)


@pytest.mark.parametrize(
    ("subject", "field", "edit"),
    [
        ("dossier.submitted", "alt_codes", lambda schema: remove("alt_codes")(schema)),
        ("citizen.changed", "spouse_name", lambda schema: remove("spouse_name")(schema)),
        ("residence.changed", "commune_code", lambda schema: of_class("commune_code", "SENSITIVE")(schema)),
        ("procedure.changed", "procedure_code", lambda schema: of_class("procedure_code", "PERSONAL")(schema)),
    ],
)
def test_newest_version_has_what_the_declaration_names(
    folder: Path, subject: str, field: str, edit: Callable[[dict[str, Any]], None]
) -> None:
    publish_next(folder, subject, edit)
    assert (Rule.KEY, field) in rules(folder, subject)


def of_class(name: str, data_class: str) -> Callable[[dict[str, Any]], None]:
    return lambda schema: field_of(schema, name).update(data_class=data_class)


def list_of(**item: Any) -> dict[str, Any]:
    fields = [changed("inner", item)]
    return {"type": "array", "items": {"type": "record", "name": "Added", "fields": fields}}


@pytest.mark.parametrize(
    ("avro", "expected"),
    [
        (list_of(), None),
        (list_of(vn_name=""), (Rule.LABEL, "added.inner")),
        (list_of(data_class="SENSITIVE"), (Rule.LABEL, "added")),
        (list_of(type=["null", {"type": "int", "logicalType": "date"}]), (Rule.LIST, "added.inner")),
        (list_of()["items"], (Rule.LIST, "added")),
    ],
)
def test_check_looks_into_lists(folder: Path, avro: dict[str, Any], expected: tuple[Rule, str] | None) -> None:
    publish_next(folder, SUBJECT, add(type=["null", avro]))
    assert rules(folder) == ({expected} if expected else set())


def remove(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda schema: schema["fields"].remove(field_of(schema, name))


def move_first_data_field_last(schema: dict[str, Any]) -> None:
    schema["fields"].append(schema["fields"].pop(14))


def extend_documents(schema: dict[str, Any]) -> None:
    field_of(schema, "documents")["type"][1]["items"]["fields"].append(optional_field("added"))


def gender_symbols(*symbols: str) -> Callable[[dict[str, Any]], None]:
    return lambda schema: field_of(schema, "gender")["type"][1].update(symbols=list(symbols))


COMPATIBILITY: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    (SUBJECT, remove("full_name"), "full_name"),
    (SUBJECT, remove("email"), "email"),
    (SUBJECT, set_type("birth_year", ["null", "long"]), "birth_year"),
    (SUBJECT, set_type("civil_status_doc_date", ["null", "int"]), "civil_status_doc_date"),
    (SUBJECT, set_type("full_name", ["null", "string"]), "full_name"),
    (SUBJECT, set_type("email", "string"), "email"),
    (SUBJECT, gender_symbols("MALE", "UNKNOWN"), "gender"),
    (SUBJECT, lambda schema: field_of(schema, "religion").update(data_class="PUBLIC"), "religion"),
    (SUBJECT, move_first_data_field_last, ""),
    (SUBJECT, add(type="string"), "added"),
    ("dossier.submitted", extend_documents, "documents"),
]


@pytest.mark.parametrize(("subject", "edit", "field"), COMPATIBILITY)
def test_i6_check_reports_a_version_that_does_not_fit_its_ancestor(
    folder: Path, subject: str, edit: Callable[[dict[str, Any]], None], field: str
) -> None:
    publish_next(folder, subject, edit)
    assert (Rule.COMPATIBILITY, field) in rules(folder, subject)


def test_i6_check_compares_with_every_ancestor_and_not_with_the_last_alone(folder: Path) -> None:
    newest = publish_next(folder, SUBJECT, remove("email"))
    publish_next(folder, SUBJECT, add(name="email", type=["null", "int"]))
    against = {str(problem) for problem in check_folder(folder) if problem.number == newest + 1}
    assert any("(against v1)" in problem and "email" in problem for problem in against)


def without_length(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda schema: field_of(schema, name).pop("max_length")


def test_check_wants_the_longest_form_of_every_text_of_a_new_version(folder: Path) -> None:
    publish_next(folder, SUBJECT, add(max_length=None))
    assert rules(folder) == {(Rule.LENGTH, "added")}
    publish_next(folder, "dossier.submitted", lambda schema: documents_of(schema)[1].pop("max_length"))
    assert (Rule.LENGTH, "documents.name") in rules(folder, "dossier.submitted")
    publish_next(folder, "identity.changed", without_length("source_system"))
    assert (Rule.LENGTH, "source_system") in rules(folder, "identity.changed")


def documents_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = field_of(schema, "documents")["type"][1]["items"]["fields"]
    return found


@pytest.mark.parametrize("length", [0, -1, "50", True, 1.5])
def test_longest_form_is_a_whole_number_above_zero(folder: Path, length: Any) -> None:
    publish_next(folder, SUBJECT, add(max_length=length))
    assert rules(folder) == {(Rule.LENGTH, "added")}


def test_number_has_no_longest_form(folder: Path) -> None:
    publish_next(folder, SUBJECT, lambda schema: field_of(schema, "birth_year").update(max_length=4))
    assert rules(folder) == {(Rule.LENGTH, "birth_year")}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda schema: field_of(schema, "full_name").update(max_length=201), set()),
        (lambda schema: field_of(schema, "full_name").update(max_length=199), {(Rule.COMPATIBILITY, "full_name")}),
    ],
)
def test_i6_longest_form_may_grow_and_not_shrink(
    folder: Path, edit: Callable[[dict[str, Any]], None], expected: set[tuple[Rule, str]]
) -> None:
    publish_next(folder, SUBJECT, edit)
    assert rules(folder) == expected


def test_check_lets_a_version_add_optional_fields_and_symbols(folder: Path) -> None:
    publish_next(folder, SUBJECT, add())
    publish_next(folder, SUBJECT, named_genders)
    assert check_folder(folder) == ()


def named_genders(schema: dict[str, Any]) -> None:
    gender_symbols("MALE", "FEMALE", "OTHER", "UNKNOWN", "NOT_STATED")(schema)
    avro = field_of(schema, "gender")["type"][1]
    avro["vn_names"] = {symbol: "Giới tính" for symbol in avro["symbols"]}


def listed(**more: Any) -> Callable[[dict[str, Any]], None]:
    """Add an enum of two symbols."""
    return add(type=["null", {"type": "enum", "name": "Added", "symbols": ["A", "B"], "default": "A", **more}])


def closed_text(**more: Any) -> Callable[[dict[str, Any]], None]:
    """Add a list of texts with a closed list."""
    return add(type=["null", list_of(allowed=["A", "B"], **more)])


NAMED = {"A": "Một", "B": "Hai"}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (listed(), "added"),
        (listed(vn_names=NAMED), None),
        (listed(vn_names=NAMED, src_codes={"B": 0}), None),
        (listed(vn_names={"A": "Một"}), "added"),
        (listed(vn_names={"A": "Một", "B": " "}), "added"),
        (listed(vn_names=NAMED | {"C": "Ba"}), "added"),
        (listed(vn_names={"A": 1, "B": 2}), "added"),
        (listed(vn_names=NAMED, src_codes={"C": 3}), "added"),
        (listed(vn_names=NAMED, src_codes={"A": "1"}), "added"),
        (listed(vn_names=NAMED, src_codes={"A": True}), "added"),
        (listed(vn_names=NAMED, src_codes={"A": 1, "B": 1}), "added"),
        (closed_text(), "added.inner"),
        (closed_text(vn_names=NAMED), None),
        (closed_text(vn_names={"A": "Một"}), "added.inner"),
        (gender_symbols("MALE", "FEMALE", "OTHER", "UNKNOWN", "NOT_STATED"), "gender"),
        (named_genders, None),
    ],
)
def test_check_wants_a_name_of_every_symbol_that_a_version_adds(
    folder: Path, edit: Callable[[dict[str, Any]], None], expected: str | None
) -> None:
    publish_next(folder, SUBJECT, edit)
    assert rules(folder) == ({(Rule.LABEL, expected)} if expected else set())


def test_names_of_symbols_are_not_lost_again(folder: Path) -> None:
    publish_next(folder, SUBJECT, named_genders)
    publish_next(folder, SUBJECT, lambda schema: field_of(schema, "gender")["type"][1].pop("vn_names"))
    assert rules(folder) == {(Rule.LABEL, "gender")}


def test_check_wants_a_name_of_every_symbol_of_a_new_golden_record(folder: Path) -> None:
    def forget(schema: dict[str, Any]) -> None:
        field_of(schema, "flag")["type"].pop("vn_names")

    publish_next(folder, "flag.record", forget)
    assert rules(folder, "flag.record") == {(Rule.LABEL, "flag")}


def test_envelope_may_name_its_symbols(folder: Path) -> None:
    def named(schema: dict[str, Any]) -> None:
        avro = field_of(schema, "operation")["type"]
        avro["vn_names"] = {symbol: "Thao tác" for symbol in avro["symbols"]}

    publish_next(folder, SUBJECT, named)
    assert check_folder(folder) == ()


def test_golden_records_may_grow_where_their_aspects_do(folder: Path) -> None:
    def grow(schema: dict[str, Any]) -> None:
        field_of(schema, "person")["type"][1]["fields"].append(optional_field("added"))
        field_of(schema, "residences")["type"]["items"]["fields"].append(optional_field("added"))

    publish_next(folder, "citizen.record", grow)
    assert check_folder(folder) == ()
