"""No secret and no raw record is in a repr, in an error, or in what ``hub config`` shows."""

import dataclasses
import importlib
import pkgutil
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import connectors
import hub
from connectors.declared.declaration import Location
from hub.cli.processes.settings import setting_rows
from hub.codec.registry.push import RemoteRegistry
from hub.config import Settings, load_settings
from hub.model.errors import ConfigError
from hub.warehouse.database import open_database

SECRET = re.compile(r"secret|passw|credential|token|private|signing_key|salt|dsn|environment|(^|_)urls?$")
RAW = re.compile(r"^(record_)?(key|keys|value|values|row|rows)$")
RAW_TYPES = re.compile(r"bytes|\bRow\b|dict\[str, (typing\.)?Any\]|Mapping\[str, (typing\.)?Any\]")
SHOWN = {
    ("Settings", "signing_key_file"): "a path",
    ("Settings", "approver_credential_file"): "a path",
    ("Settings", "new_credential_file"): "a path",
    ("PartStatus", "url"): "of the embedded server, without its password (hub.embedded.locate.with_password)",
    ("PartState", "url"): "as above, as it is stored",
}
"""Fields whose name sounds like a secret, and why their repr may show them."""


def fields() -> Iterator[tuple[type, str, str, bool]]:
    """Yield (class, field, type, whether the repr shows it) of every dataclass and settings class of the project."""
    for root in (hub, connectors):
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if module.name.endswith(("__main__", "migrations.env")):
                continue
            for found in vars(importlib.import_module(module.name)).values():
                if not isinstance(found, type) or found.__module__ != module.name:
                    continue
                if dataclasses.is_dataclass(found):
                    is_shown = found.__repr__ is not object.__repr__ and found.__dataclass_params__.repr  # type: ignore[attr-defined]
                    for one in dataclasses.fields(found):
                        yield found, one.name, str(one.type), one.repr and is_shown
                elif issubclass(found, BaseModel):
                    for name, info in found.model_fields.items():
                        yield found, name, str(info.annotation), info.repr


def test_no_repr_shows_a_field_that_may_hold_a_secret() -> None:
    found = list(fields())
    shown = {(one.__name__, name) for one, name, _, is_shown in found if is_shown and SECRET.search(name)}
    assert len(found) > 1_000
    assert shown - set(SHOWN) == set()
    assert set(SHOWN) - shown == set()


def test_no_repr_shows_a_raw_record_or_row() -> None:
    shown = [
        f"{one.__module__}.{one.__name__}.{name}: {kind}"
        for one, name, kind, is_shown in fields()
        if is_shown and RAW.search(name) and RAW_TYPES.search(kind)
    ]
    assert shown == []


GIVEN: dict[str, str] = {
    "HUB_DATABASE_URL": "postgresql+psycopg://u:pass-word-1@h/d",
    "HUB_KEY_SECRET": "pass-word-2-long-enough",
    "HUB_SIGNING_KEY": "pass-word-3",
    "HUB_APPROVER_CREDENTIAL": "pass-word-4",
    "HUB_NEW_CREDENTIAL": "pass-word-5",
}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_every_secret_of_the_settings_is_tried_here() -> None:
    hidden = {f"HUB_{name.upper()}" for name, info in Settings.model_fields.items() if not info.repr}
    assert hidden == set(GIVEN)


def test_settings_are_shown_without_their_secrets(given: None) -> None:
    settings = load_settings()
    told = f"{settings!r} {settings} {setting_rows(settings)}"
    assert settings.database_url == GIVEN["HUB_DATABASE_URL"]
    assert "pass-word" not in told
    assert ("HUB_DATABASE_URL", "(set)") in {row[:2] for row in setting_rows(settings)}


@pytest.mark.parametrize("value", ["pass-word-short", "pass-wörd-that-is-not-ascii"])
def test_setting_that_is_wrong_is_named_without_its_value(
    given: None, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HUB_KEY_SECRET", value)
    monkeypatch.setenv("HUB_LANES", "0")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert "HUB_KEY_SECRET" in refused.value.message
    assert _told(refused.value) == []


def test_extra_setting_is_named_without_its_value(given: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABASE_PASSWORD", "pass-word-6")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert "HUB_DATABASE_PASSWORD" in refused.value.message
    assert _told(refused.value) == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:pass-word@h/d",
        "postgresql//u:pass-word@h/d",
        "postgresql+psycopg://u:pass-word@h:port/d",
        "pass-word",
    ],
)
def test_database_url_that_is_wrong_is_refused_without_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_database(url, "hub")
    assert _told(refused.value) == []


def test_engine_and_declaration_and_registry_hide_passwords() -> None:
    engine = open_database("postgresql+psycopg://u:pass-word@h/d", "hub")
    told = [repr(engine), repr(Location(url="mysql://u:pass-word@h/d", url_env=None))]
    told.append(repr(RemoteRegistry("https://u:pass-word@h")))
    assert [text for text in told if "pass-word" in text] == []


def _told(error: Any) -> list[str]:
    """Return the lines in which an error, printed as a bug would be, tells a secret."""
    printed = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    source = Path(__file__).read_text("utf-8")
    return [line for line in printed.splitlines() if re.search("pass-w.rd", line) and line.strip() not in source]
