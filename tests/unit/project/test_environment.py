"""A process that the hub starts inherits a closed list of variables: no secret of ours is in a server."""

import ast
import time
from pathlib import Path

import pytest

import hub
from hub.demo.children import Children
from hub.embedded.accounts import Account
from hub.embedded.environment import command_environment, server_environment
from hub.embedded.processes import Launch, is_running, start

ROOT = Path(hub.__file__).parents[1]
SECRETS = {
    "HUB_DATABASE_URL": "postgresql://u:secret-1@h/d",
    "HUB_KEY_SECRET": "secret-2",
    "PGPASSWORD": "secret-3",
    "AWS_SECRET_ACCESS_KEY": "secret-4",
    "JAVA_TOOL_OPTIONS": "-Dsecret-5",
    "SRC_URL": "secret-6",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_server_is_started_with_the_closed_list_and_what_it_needs(tmp_path: Path) -> None:
    ref = start(Launch(["/usr/bin/env"], tmp_path / "log", {"TZ": "UTC", "MINE": "1"}))
    while is_running(ref):
        time.sleep(0.01)
    said = (tmp_path / "log").read_text()
    assert "MINE=1" in said
    assert "PATH=" in said
    assert "secret" not in said


def test_tool_under_an_account_gets_the_closed_list() -> None:
    assert "secret" not in Account().run(["/usr/bin/env"]).stdout


def test_command_of_the_hub_gets_its_settings_too_and_no_more() -> None:
    found = command_environment({"SOURCE_URL": "x"})
    assert found["HUB_KEY_SECRET"] == SECRETS["HUB_KEY_SECRET"]
    assert found["SOURCE_URL"] == "x"
    assert {"PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "SRC_URL", "JAVA_TOOL_OPTIONS"}.isdisjoint(found)
    assert not any("secret" in value for value in server_environment().values())


def test_demos_commands_inherit_no_more(tmp_path: Path) -> None:
    assert "PGPASSWORD" not in Children(tmp_path, {})._environment


def test_every_process_of_the_project_is_given_its_environment() -> None:
    """What is left out would inherit everything."""
    found = []
    for path in (*ROOT.joinpath("hub").rglob("*.py"), *ROOT.joinpath("connectors").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            starts = called.startswith(("subprocess.", "os.spawn", "os.exec", "os.popen", "os.system"))
            starts |= called.endswith(("create_subprocess_exec", "create_subprocess_shell"))
            if starts and "env" not in {keyword.arg for keyword in node.keywords}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {called}")
            assert "multiprocessing" not in called
    assert found == []
