"""docker-compose.yml, its image and its example environment, checked against the command line and each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from hub.cli.app import build_app
from hub.config import Settings

_ROOT = Path(__file__).resolve().parents[3]
_COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text("utf-8"))
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_OF_THE_HUB = sorted(name for name, service in _SERVICES.items() if "build" in service)
_ONE_SHOT = {"migrate", "topics"}
_SECRET = re.compile(r"password|secret", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{[^}]+\}")


def _arguments(service: dict[str, Any]) -> list[str]:
    command = service["command"]
    assert isinstance(command, list), "a list needs no shell and no quoting"
    return [str(word) for word in command]


def _problem_of(words: list[str]) -> str | None:
    """Say why the command line would not accept the words, or None if it would."""
    # The command tree is of typer's own classes, which have no public types.
    command: Any = typer.main.get_command(build_app())
    if words[0] != "hub":
        return f"{words[0]} is not the hub"
    rest = words[1:]
    while hasattr(command, "commands"):
        if not rest and command.invoke_without_command:
            break
        if not rest or rest[0] not in command.commands:
            return f"no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    places = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    unknown = [word for word in rest if word.startswith("-") and word not in known]
    given = [word for word in rest if not word.startswith("-")]
    required = [place for place in places if place.required]
    if unknown or not len(required) <= len(given) <= len(places):
        return f"{' '.join(words)}: unknown options {unknown}, {len(given)} arguments for {len(places)}"
    return None


def test_the_services_of_the_issue_are_there() -> None:
    assert {"kafka", "postgres", "worker", "share", "connector", *_ONE_SHOT} == set(_SERVICES)


@pytest.mark.parametrize("name", _OF_THE_HUB)
def test_command_exists_on_the_command_line(name: str) -> None:
    assert _problem_of(_arguments(_SERVICES[name])) is None


@pytest.mark.parametrize(
    "words", [["hub", "nothing"], ["hub", "db"], ["hub", "worker", "--no-such"], ["hub", "worker", "x"]]
)
def test_check_of_commands_sees_a_wrong_one(words: list[str]) -> None:
    assert _problem_of(words) is not None


def test_topics_are_created_and_not_only_planned() -> None:
    assert "--execute" in _arguments(_SERVICES["topics"])


@pytest.mark.parametrize("name", sorted(set(_SERVICES) - _ONE_SHOT))
def test_long_running_service_has_a_health_check_and_restarts(name: str) -> None:
    assert _SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert _SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", _OF_THE_HUB)
def test_health_check_by_the_hub_exists_on_the_command_line(name: str) -> None:
    words = _SERVICES[name].get("healthcheck", {}).get("test", [])[1:]
    if words and words[0] == "hub":
        assert _problem_of(words) is None


def test_no_secret_stands_in_the_file() -> None:
    for service in _SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if _SECRET.search(name):
                assert _VARIABLE.fullmatch(value), name
                assert ":?" in value, name
            assert not re.search(r"://[^:/@]+:(?!\$\{)[^@]*@", str(value)), name


def test_example_environment_names_every_required_variable_without_a_value() -> None:
    text = (_ROOT / "docker-compose.yml").read_text("utf-8")
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (_ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert required == {"POSTGRES_PASSWORD", "HUB_KEY_SECRET", "HUB_POLICY"}
    assert {name: example[name] for name in required} == dict.fromkeys(required, "")
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) == set(example)


@pytest.mark.parametrize("name", _OF_THE_HUB)
def test_environment_holds_only_settings(name: str) -> None:
    known = {f"HUB_{field.upper()}" for field in Settings.model_fields}
    assert set(_SERVICES[name]["environment"]) <= known


@pytest.mark.parametrize("name", sorted(_SERVICES))
def test_named_volumes_are_declared(name: str) -> None:
    sources = [str(volume).split(":", 1)[0] for volume in _SERVICES[name].get("volumes", ())]
    named = {source for source in sources if re.fullmatch(r"[a-z][a-z-]*", source)}
    assert named <= set(_COMPOSE["volumes"])
    if name in ("kafka", "postgres"):
        assert named


@pytest.mark.parametrize("name", sorted(_SERVICES))
def test_image_is_pinned_by_tag(name: str) -> None:
    tag = str(_SERVICES[name]["image"]).partition(":")[2]
    assert re.match(r"\d", tag), "a tag that names a version"


@pytest.mark.parametrize("name", sorted(_SERVICES))
def test_service_waits_for_services_in_the_state_they_reach(name: str) -> None:
    for other, wait in _SERVICES[name].get("depends_on", {}).items():
        ended = wait["condition"] == "service_completed_successfully"
        assert ended == (other in _ONE_SHOT), other
        assert ended or "healthcheck" in _SERVICES[other], other


def test_image_checks_hashes_and_does_not_run_as_root() -> None:
    lines = (_ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    users = [line for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("USER root", "USER 0")
