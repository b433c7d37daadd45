"""Credentials of people who approve: from the environment, from a file, or typed; never from the command line."""

import sys
from pathlib import Path

import typer

from hub.config import Settings
from hub.model.errors import ConfigError
from hub.model.texts.visible import visible


def credential_of(settings: Settings, name: str) -> str:
    """Return the credential of an operator who approves.

    Args:
        settings: HUB_APPROVER_CREDENTIAL, or the file that HUB_APPROVER_CREDENTIAL_FILE names, has priority.
        name: the operator's name, for the question.

    Raises:
        ConfigError: none is given and there is no terminal to ask at.
    """
    variable = "HUB_APPROVER_CREDENTIAL"
    given = _given(settings.approver_credential, settings.approver_credential_file, variable)
    return given or _typed(f"credential of {name}", variable)


def new_credential_of(settings: Settings, name: str) -> str:
    """Return the new credential of an operator; it is typed twice.

    Raises:
        ConfigError: none is given and there is no terminal to ask at.
    """
    variable = "HUB_NEW_CREDENTIAL"
    given = _given(settings.new_credential, settings.new_credential_file, variable)
    return given or _typed(f"new credential of {name}", variable, twice=True)


def _given(credential: str | None, path: Path | None, variable: str) -> str | None:
    if credential is not None or path is None:
        return credential
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{variable}_FILE: {path} cannot be read"]) from error


def _typed(what: str, variable: str, twice: bool = False) -> str:
    if not sys.stdin.isatty():
        raise ConfigError([f"the {what} is needed: {variable}, {variable}_FILE, or a terminal"])
    typed: str = typer.prompt(visible(what), hide_input=True, confirmation_prompt=twice, err=True)
    return typed
