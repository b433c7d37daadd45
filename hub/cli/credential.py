"""The credential of a second person: from the environment, from a file, or typed; never from the command line."""

import sys
from pathlib import Path

import typer

from hub.config import Settings
from hub.model.errors import ConfigError
from hub.model.visible import visible


def credential_of(settings: Settings, name: str, twice: bool = False) -> str:
    """Return the credential of an operator.

    Args:
        settings: HUB_APPROVER_CREDENTIAL, or the file that HUB_APPROVER_CREDENTIAL_FILE names, goes first.
        name: whose, for the question.
        twice: ask for it twice, where it is new.

    Raises:
        ConfigError: none is given and nobody can be asked.
    """
    if settings.approver_credential is not None:
        return settings.approver_credential
    if settings.approver_credential_file is not None:
        return _read(settings.approver_credential_file)
    if not sys.stdin.isatty():
        given = "HUB_APPROVER_CREDENTIAL, HUB_APPROVER_CREDENTIAL_FILE, or a terminal"
        raise ConfigError([f"the credential of {name} is needed: {given}"])
    typed: str = typer.prompt(f"credential of {visible(name)}", hide_input=True, confirmation_prompt=twice, err=True)
    return typed


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"HUB_APPROVER_CREDENTIAL_FILE: {path} cannot be read"]) from error
