"""The commands of the schemas that need nothing but the schemas."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hub.cli import schemas
from hub.codec.catalogue import load_catalogue
from hub.codec.registry.names import schema_text
from hub.model.errors import ConfigError
from tests.support.schema_folder import copy_of_schemas, edit_schema, optional_field

APP = typer.Typer()
schemas.register(APP)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, ["schemas", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = copy_of_schemas(tmp_path)
    monkeypatch.setattr(schemas, "schemas_folder", lambda: copy)
    return copy


def test_check_ends_with_0_when_all_is_well() -> None:
    assert run("check") == (0, "all schemas are correct\n")
    assert run("check", "--json") == (0, "[]\n")


def test_check_lists_every_problem_and_ends_with_1(folder: Path) -> None:
    for subject in ("citizen.changed", "dossier.submitted"):
        edit_schema(folder, subject, lambda schema: schema.update(doc="Edited."))
    code, printed = run("check", "--json")
    found = json.loads(printed)
    assert code == 1
    assert [(item["subject"], item["version"], item["rule"]) for item in found] == [
        ("citizen.changed", 1, "EDITED"),
        ("dossier.submitted", 1, "EDITED"),
    ]
    code, printed = run("check")
    assert code == 1
    assert printed.splitlines()[-1] == "2 problems"
    assert "citizen.changed v1: was edited" in printed


def test_list_gives_every_version_with_its_id() -> None:
    code, printed = run("list", "--json")
    listed = {item["subject"]: item["id"] for item in json.loads(printed)}
    assert code == 0
    assert listed["citizen.changed"] == load_catalogue().latest("citizen.changed").schema_id
    assert set(listed) == set(load_catalogue().subjects)
    assert "dossier.progressed" in run("list")[1]


def test_show_gives_the_schema_or_its_fields() -> None:
    assert json.loads(run("show", "citizen.changed", "--json")[1])["namespace"] == "hub.citizen"
    assert "residence.changed v1, id 1003" in run("show", "residence.changed", "--version", "1")[1]


def test_show_says_of_what_kind_values_are_and_how_long_texts_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    lines = run("show", "dossier.submitted")[1].splitlines()
    cells = [[cell.strip() for cell in line.split("│")] for line in lines if line.count("│") > 4]
    said = {row[1]: tuple(row[3:5]) for row in cells}
    assert {name: said[name] for name in ("summary", "storage_ref", "paid_vnd")} == {
        "summary": ("text", "1,000"),
        "storage_ref": ("reference", "2,000"),
        "paid_vnd": ("money", ""),
    }


@pytest.mark.parametrize("arguments", [("pet.changed",), ("citizen.changed", "--version", "9")])
def test_show_says_what_there_is_when_asked_for_something_else(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="there are"):
        run("show", *arguments)


def test_assign_prints_a_plan_until_told_to_execute(folder: Path) -> None:
    edit_schema(folder, "citizen.changed", lambda schema: None)
    newest = load_catalogue().latest("citizen.changed").number
    text = json.loads((folder / "citizen.changed" / f"v{newest}.avsc").read_text())
    text["fields"].append(optional_field("added"))
    (folder / "citizen.changed" / f"v{newest + 1}.avsc").write_text(json.dumps(text))
    before = (folder / "ids.json").read_text()

    catalogue = load_catalogue()
    following = max(found.schema_id for name in catalogue.subjects for found in catalogue.versions(name)) + 1
    assert run("assign") == (0, f"would assign {following} to citizen.changed v{newest + 1}\n")
    assert (folder / "ids.json").read_text() == before
    planned = {"executed": True, "assigned": [{"subject": "citizen.changed", "version": newest + 1, "id": following}]}
    assert json.loads(run("assign", "--execute", "--json")[1]) == planned
    assert run("assign") == (0, "every schema file has an id\n")
    assert run("check")[0] == 0


def test_show_names_every_symbol_with_the_portals_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, printed = run("show", "dossier.record")
    assert code == 0
    lines = [" ".join(re.sub("[│┃|]", " ", line).split()) for line in printed.splitlines()]
    assert "progress.status IN_PROCESS Đang xử lý 4" in lines
    assert "submission.channel POSTAL Qua bưu chính công ích 3" in lines
    assert "submission.code_format OTHER Mẫu riêng của hệ thống" in lines
    assert "progress.status UNKNOWN Không rõ" in lines


def test_show_of_a_version_without_names_lists_the_symbols_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, printed = run("show", "dossier.record", "--version", "2")
    assert code == 0
    lines = [" ".join(re.sub("[│┃|]", " ", line).split()) for line in printed.splitlines()]
    assert "progress.status IN_PROCESS" in lines


def test_registry_serves_the_names_of_symbols() -> None:
    served = json.loads(schema_text(load_catalogue().latest("flag.record")))
    flag = next(field for field in served["fields"] if field["name"] == "flag")
    assert flag["type"]["vn_names"]["DECEASED_PAYEE"] == "Người đã chết còn nhận trợ cấp"
