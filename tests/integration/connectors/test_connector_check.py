"""What ``hub connect check`` finds before a run would: ways of reading, the policy, all rows, what the hub knows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from connectors.checks.refused import refused
from connectors.declared.load import parse_declaration
from connectors.opening import open_context
from hub.cli.connect import commands as connect
from hub.cli.units import procedures
from hub.embedded.locate import Endpoints
from hub.model.errors import ConfigError
from hub.operate.procedures import publishing as catalogue
from tests.conftest import RunningEngine
from tests.support.merge_world import World

pytestmark = pytest.mark.engine

APP = typer.Typer()
connect.register(APP)
procedures.register(APP)
POLICY = """
[[source]]
code = "test.check"
agency = "H25"
role = "province"
subjects = [{subjects}]
[[source]]
code = "portal"
agency = "G22"
role = "portal"
subjects = ["procedure.changed"]
"""
DECLARATION = """
[source]
code = "{code}"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
[[stream]]
name = "filed"
connector = "table"
subject = "dossier.submitted"
table = "{table}"
key = ["id"]
version = "ban"
{changed}
{late}
[stream.fields]
occurred_at = "luc"
dossier_code = {{ column = "ma", words = {{ "a" = "D-1", "b" = "D-2" }} }}
procedure_code = "tt"
{fields}
"""
TABLE = (
    "CREATE TABLE don (id integer PRIMARY KEY, ban integer, luc timestamptz, ma text, tt text)",
    "INSERT INTO don VALUES (1, 1, '2025-08-01', 'a', '1.000001.000.00.00.H25'), (2, 1, '2025-08-01', 'b', '1.000002'),"
    " (3, 1, '2025-08-01', 'x', '1.000001'), (4, 1, '2025-08-01', null, '1.000001')",
    "CREATE VIEW xem AS SELECT * FROM don",
)
FIELDS = ""
Run = Callable[..., Any]


@pytest.fixture
def run(
    module_world: World, engine: RunningEngine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """Run a command against a source and a warehouse, and return its exit code and output."""
    module_world.clear()
    monkeypatch.setenv("HUB_DATABASE_URL", module_world.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", engine.bootstrap)
    monkeypatch.setenv("HUB_KEY_SECRET", engine.key_secret)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SOURCE_URL", database_url)
    source = create_engine(database_url, poolclass=NullPool)
    with source.begin() as connection:
        for statement in TABLE:
            connection.execute(text(statement))
    source.dispose()
    policy = tmp_path / "policy.toml"
    monkeypatch.setenv("HUB_POLICY", str(policy))

    def run(
        *arguments: str,
        subjects: str = '"dossier.submitted"',
        code: str = "test.check",
        table: str = "don",
        late: str = "",
        changed: str = 'changed_at = "luc"',
    ) -> Any:
        policy.write_text(POLICY.format(subjects=subjects))
        declaration = tmp_path / "source.toml"
        declaration.write_text(DECLARATION.format(code=code, table=table, late=late, changed=changed, fields=FIELDS))
        given = [str(declaration) if one == "FILE" else one for one in arguments]
        result = CliRunner().invoke(APP, given, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.return_value, json.loads(result.stdout) if "--json" in arguments else result.stdout

    return run


def test_policy_that_does_not_let_the_source_speak_is_a_problem(run: Run) -> None:
    with pytest.raises(ConfigError, match="SOURCE_NOT_ALLOWED"):
        run("connect", "check", "FILE", subjects='"dossier.progressed"')
    with pytest.raises(ConfigError, match="does not know the source 'other'"):
        run("connect", "check", "FILE", code="other")


def test_policy_that_is_not_set_is_said_not_to_be_looked_at(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_POLICY")
    code, told = run("connect", "check", "FILE", "--json")
    assert code == 0
    assert "not checked: HUB_POLICY" in told["policy"][0]


def test_warehouse_that_nobody_migrated_is_said_not_to_be_looked_at(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    code, told = run("connect", "check", "FILE", "--json")
    assert code == 0
    assert "no warehouse could be reached" in told["references"][0]


def test_view_is_read_by_time_and_check_says_what_a_run_would_say(run: Run) -> None:
    assert run("connect", "check", "FILE", table="don")[0] == 0
    with pytest.raises(ConfigError, match="not a view"):
        run("connect", "check", "FILE", late='late_rows = "horizon"', table="xem")
    with pytest.raises(ConfigError, match="needs changed_at"):
        run("connect", "check", "FILE", table="xem", changed="")
    assert run("connect", "check", "FILE", table="xem")[0] == 0


def test_all_rows_are_summed_up_with_examples_by_the_sources_key(run: Run) -> None:
    code, told = run("connect", "check", "FILE", "--all", "--json")
    assert code == 1
    (stream,) = told["all"]
    assert (stream["rows"], stream["events"]) == (4, 2)
    assert {(one["reason"], one["detail"], one["count"]) for one in stream["rejects"]} == {
        ("UNMAPPED_WORD", "dossier_code", 1),
        ("REQUIRED_MISSING", "dossier_code", 1),
    }
    examples = {one["reason"]: one["examples"] for one in stream["rejects"]}
    assert examples["UNMAPPED_WORD"] == [{"key": {"id": "3"}, "values": {"ma": "•••"}}]
    assert told["missing"] == {"procedure": {"1.000001": 1, "1.000002": 1}}
    assert "hub procedures load" in told["references"][0]
    _, shown = run("connect", "check", "FILE", "--all", "--source-values")
    assert "row id = '3': ma = 'x'" in shown


def test_rows_of_one_thing_and_version_with_other_content_are_counted_and_named(run: Run, database_url: str) -> None:
    source = create_engine(database_url, poolclass=NullPool)
    with source.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO don VALUES (5, 1, '2025-08-01', 'a', '1.000003'), (6, 1, '2025-08-01', 'b', '1.000002'),"
                " (7, 2, '2025-08-01', 'b', '1.000004')"
            )
        )
        connection.execute(text("DELETE FROM don WHERE id IN (3, 4)"))
    source.dispose()
    code, told = run("connect", "check", "FILE", "--all", "--json")
    assert code == 1, "the hub would refuse one of the two"
    rows = [{"stream": "filed", "key": {"id": "1"}}, {"stream": "filed", "key": {"id": "5"}}]
    found = told["two_of_one_version"]["dossier.submitted"]
    found["examples"] = [sorted(one, key=lambda row: row["key"]["id"]) for one in found["examples"]]
    assert found == {"count": 1, "examples": [rows]}, "equal content under one version is a repetition"
    _, shown = run("connect", "check", "FILE", "--all")
    assert "dossier.submitted: 1 thing has two or more rows of one version with other content" in shown
    assert "filed id = '1'" in shown
    assert "filed id = '5'" in shown


TWO_STREAMS = """
[source]
code = "test.check"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
[[stream]]
name = "filed"
connector = "table"
subject = "dossier.submitted"
table = "don"
key = ["ban"]
version = "ban"
changed_at = "luc"
deleted = { column = "ma", values = ["x"] }
[stream.fields]
occurred_at = "luc"
dossier_code = "ma"
procedure_kode = "tt"
[[stream]]
name = "moved"
connector = "table"
subject = "dossier.progressed"
table = "don"
key = ["id"]
changed_at = "luc"
[stream.fields]
dossier_code = "no_such"
status = "tt"
"""


def test_problems_of_schemas_policy_key_words_and_of_every_table_are_listed_together_and_rows_are_named(
    run: Run, tmp_path: Path
) -> None:
    two = tmp_path / "two.toml"
    two.write_text(TWO_STREAMS)
    with pytest.raises(ConfigError) as caught:
        run("connect", "check", str(two), subjects='"procedure.changed"')
    told = "\n".join(caught.value.problems)
    for expected in (
        *("no field 'procedure_kode'", "SOURCE_NOT_ALLOWED", "1 value is in more than one row"),
        *("column ma holds 2 words that are not declared", "there is no column 'no_such'"),
    ):
        assert expected in told
    assert not any(word in told for word in ("'a'", "'b'")), "I8"


def test_rows_and_words_that_are_refused_are_shown_on_the_screen_alone(database_url: str, run: Run) -> None:
    declared = parse_declaration(TWO_STREAMS.encode())
    context = open_context(declared, "a secret", {"SOURCE_URL": database_url}, requires_fit=False)
    found = refused(context, declared.streams[0])
    assert found.shown[0] == "filed: ban = '1' is in 4 rows"
    assert sorted(found.shown[1].removeprefix("filed: column ma holds ").split(", ")) == ["'a'", "'b'"]
    assert "'a'" not in repr(found)
    context.close()


def test_catalogue_from_a_file_is_planned_then_published(
    run: Run, tmp_path: Path, module_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "thu-tuc.csv"
    file.write_text("procedure_code,name,valid_from\n1.000001,Đăng ký khai sinh,2025-07-01\n1.000002,Chứng thực,\n")
    sent: list[Any] = []

    def publish(_: Endpoints, subject: str, events: Any) -> int:
        sent.extend((subject, event) for event in events)
        return len(sent)

    monkeypatch.setattr(catalogue, "publish", publish)
    told = run("procedures", "load", str(file), "--json")[1]
    assert (told["source"], told["new"], told["published"], sent) == ("portal", 2, 0, [])
    assert run("procedures", "load", str(file), "--execute", "--json")[1]["published"] == 2
    assert {(subject, event["source_system"], event["procedure_code"]) for subject, event in sent} == {
        ("procedure.changed", "portal", "1.000001"),
        ("procedure.changed", "portal", "1.000002"),
    }
    answer = tmp_path / "answer.json"
    one = {"MATTHC": "1.000003", "TENTTHC": "Kết hôn", "CAPTHUCHIEN": [{"TENCAP": "Cấp Huyện"}]}
    answer.write_text(json.dumps({"error_code": "0", "result": [one]}))
    left = run("procedures", "load", str(answer), "--json")[1]["left_empty"]
    assert [(found["field"], found["example"]) for found in left] == [("level", "1.000003")]
    shown = run("procedures", "load", str(answer))[1]
    assert "left empty: level of 1 procedures, e.g. 1.000003: 'Cấp Huyện' has no counterpart in the hub" in shown
    with pytest.raises(ConfigError, match="does not let it speak of procedure"):
        run("procedures", "load", str(file), "--source", "test.check")
    file.write_text("procedure_code,name,valid_from,colour\n1.1,A,01/07/2025,red\n")
    with pytest.raises(ConfigError, match="unknown column 'colour'"):
        run("procedures", "load", str(file))
    file.write_text("procedure_code,name,valid_from\n1.1,A,01/07/2025\n")
    with pytest.raises(ConfigError, match="line 2: valid_from: is not a date"):
        run("procedures", "load", str(file))
