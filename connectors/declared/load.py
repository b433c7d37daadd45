"""Read a declaration from its file, and find the databases it names."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.declared.declaration import Declaration, Location
from connectors.declared.parsing import declaration_of
from hub.model.errors import ConfigError


def load_declaration(path: Path) -> Declaration:
    """Read a declaration.

    Raises:
        ConfigError: with every problem of the file's form.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"declaration {path} cannot be read: {error.strerror}"]) from error
    return parse_declaration(raw, str(path))


def parse_declaration(raw: bytes, name: str = "declaration") -> Declaration:
    """Parse a declaration from the bytes of its TOML; see ``load_declaration``."""
    try:
        document: dict[str, Any] = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: not valid TOML: {error}"]) from error
    return declaration_of(document, name)


def url_of(location: Location, environ: Mapping[str, str]) -> str | None:
    """Return the URL of a location; None if it names none.

    Raises:
        ConfigError: the variable it names is not set.
    """
    if location.url_env is None:
        return location.url
    if location.url_env not in environ:
        raise ConfigError([f"{location.url_env} is not set: it must hold the URL of the database"])
    return environ[location.url_env]
