"""Sources that write the same in other letters do not contradict each other, and the portal gets composed letters."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Text, bindparam, select, text

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.model.entities import CITIZEN
from hub.model.texts.letters import same_letters
from hub.reference.units import unit_intervals
from hub.share.compose import Composer
from hub.warehouse.equal_texts import values_differ
from hub.warehouse.setup.migrate import alembic_config
from tests.support.whole_world import SECRET, Whole, key_of

PIN = "001299000123"
OPEN = "SELECT field FROM conflict WHERE closed_at IS NULL ORDER BY field"
FIELDS = {field.name: field for field in load_catalogue().latest("citizen.changed").fields}


def nfd(value: str) -> str:
    return unicodedata.normalize("NFD", value)


def person(source: str, **more: Any) -> dict[str, Any]:
    return {"source_system": source, "pin": PIN, "full_name": "Nguyễn Văn Hiếu"} | more


def contested(whole: Whole, one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    whole.send("citizen.changed", person("dancu", **one))
    whole.send("citizen.changed", person("tinh", **other))
    return [row.field for row in whole.rows(OPEN)]


def test_decomposed_letters_are_no_conflict(whole: Whole) -> None:
    composed = {"full_name": "Nguyễn Văn Hiếu", "birth_place": "Thừa Thiên Huế", "civil_status_doc_book": "Quyển số 1"}
    assert contested(whole, composed, {name: nfd(value) for name, value in composed.items()}) == []


def test_place_of_a_tone_is_no_conflict_in_names_only(whole: Whole) -> None:
    one = {"full_name": "Lê Thị Hòa", "native_place": "Hòa Bình", "civil_status_doc_book": "Hòa 1"}
    other = {"full_name": "Lê Thị Hoà", "native_place": "Hoà Bình", "civil_status_doc_book": "Hoà 1"}
    assert contested(whole, one, other) == ["civil_status_doc_book"]


def test_another_name_is_a_conflict_and_so_are_capitals(whole: Whole) -> None:
    one = {"full_name": "Lê Thị Hòa", "mother_name": "Lê Thị Hoa"}
    assert contested(whole, one, {"full_name": "Lê Thị Hóa", "mother_name": "LÊ THỊ HOA"}) == [
        "full_name",
        "mother_name",
    ]


def test_lists_are_equal_in_other_letters(whole: Whole) -> None:
    whole.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": "1.001193"})
    for source, title in (("dvcqg", "Giấy khai sinh"), ("tinh", nfd("Giấy khai sinh"))):
        dossier = {
            "source_system": source,
            "dossier_code": "H42.12.34-250701-0001",
            "procedure_code": "1.001193",
            "documents": [{"name": title}],
        }
        whole.send("dossier.submitted", dossier)
    assert whole.value("SELECT count(*) FROM dossier_submission_claim") == 2
    assert whole.rows(OPEN) == []


def test_portal_gets_composed_letters_and_the_claim_keeps_what_was_said(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", full_name=nfd("Nguyễn Văn Hiếu"), birth_place=nfd("Huế")))
    key = key_of("citizen.changed", PIN)
    with whole.engine.connect() as connection:
        value = Composer(CITIZEN, SECRET).compose(connection, [key])[key]
    assert value is not None
    shown = decode(value)[1]["person"]
    assert (shown["full_name"], shown["birth_place"]) == ("Nguyễn Văn Hiếu", "Huế")
    assert whole.value("SELECT full_name FROM citizen_person_claim") == nfd("Nguyễn Văn Hiếu")


def test_open_conflicts_about_writing_are_closed_when_the_warehouse_is_migrated(whole: Whole) -> None:
    one = {"full_name": "Lê Thị Hòa", "birth_place": "Huế", "mother_name": "Lê Thị Hoa"}
    assert contested(whole, one, {"full_name": "Lê Thị Hoà", "birth_place": nfd("Huế"), "mother_name": "Lê Hoa"}) == [
        "mother_name"
    ]
    with whole.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO conflict (aspect, key, part, field, source, held_by) "
                "SELECT aspect, key, part, field_, source, held_by "
                "FROM conflict, unnest(ARRAY['full_name', 'birth_place']) field_"
            )
        )
        config = alembic_config()
        config.attributes["connection"] = connection
        connection.execute(text("UPDATE alembic_version SET version_num = '0018'"))
        command.upgrade(config, "0019")
    assert [row.field for row in whole.rows(OPEN)] == ["mother_name"]
    ((actor, what, detail),) = whole.rows("SELECT actor, action, detail FROM action")
    assert (actor, what) == ("hub db migrate", "conflicts.close_equal_letters")
    assert detail == {"citizen.person.full_name": 1, "citizen.person.birth_place": 1}


_SYLLABLES = st.text(alphabet="hoàaáeèẻẽuủyỳỷơờợiìnĐ' -" + "\u0300\u0301\u0323\u0302\u031b", max_size=12)


@pytest.fixture(scope="module")
def differ(module_whole: Whole) -> Iterator[Any]:
    """Ask the database whether two texts differ, as names and as other texts."""
    one, other = bindparam("one", type_=Text), bindparam("other", type_=Text)
    asked = select(*(values_differ(FIELDS["full_name"], one, other, is_name) for is_name in (True, False)))
    with module_whole.engine.connect() as connection:
        yield lambda a, b: tuple(connection.execute(asked, {"one": a, "other": b}).one())


@settings(max_examples=300)
@given(_SYLLABLES, _SYLLABLES, st.sampled_from(["NFC", "NFD"]))
def test_database_and_python_agree_on_what_is_equal(differ: Any, one: str, other: str, form: Any) -> None:
    for a, b in ((one, other), (one, unicodedata.normalize(form, one)), (one + other, other + one)):
        assert differ(a, b) == (not same_letters(a, b, is_name=True), not same_letters(a, b))


def test_database_and_python_agree_on_the_countrys_units(differ: Any) -> None:
    names = sorted({unit.name for unit in unit_intervals()})[:400]
    for name in names:
        assert differ(name, nfd(name)) == (False, False)
