"""Settings: what a variable may say, and every wrong one at once."""

import os

import pytest
from pydantic import ValidationError

from hub.cli.processes.settings import setting_rows
from hub.config import Settings, load_settings
from hub.model.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HUB_")]:
        monkeypatch.delenv(name)


def test_defaults_need_no_environment_and_hold_no_secret() -> None:
    settings = load_settings()
    assert settings.database_schema == "hub"
    assert settings.key_secret is None


def test_variable_sets_its_setting_and_an_option_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PARTITIONS", "8")
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", "")
    assert load_settings().partitions == 8
    assert load_settings().kafka_bootstrap is None
    assert load_settings({"partitions": 3, "batch_rows": None}).partitions == 3


def test_every_wrong_and_every_unknown_variable_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "HUB_PARTITIONS": "none",
        "HUB_BATCH_ROWS": "0",
        "HUB_DATABASE_SCHEMA": 'a"b',
        "HUB_KEY_SECRET": "too short",
        "HUB_WEB_PORT": "70000",
        "HUB_PARTITION": "4",
        "HUB_WHAT": "",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert sorted(problem.split(":")[0] for problem in refused.value.problems) == sorted(wrong)
    assert "HUB_PARTITION: no such setting; `hub config` lists them" in refused.value.problems


def test_unknown_variable_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABSE_URL", "postgresql://host/name")
    with pytest.raises(ConfigError, match="HUB_DATABSE_URL: no such setting"):
        load_settings()


def test_wrong_option_is_named_by_its_variable() -> None:
    with pytest.raises(ConfigError, match="HUB_POLL_MS: "):
        load_settings({"poll_ms": 0})


@pytest.mark.parametrize("secret", ["0123456789abcde", "mật khẩu của tỉnh", "tab\tin the secret"])
def test_secret_must_be_printable_ascii_and_long_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("HUB_KEY_SECRET", secret)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert secret not in str(refused.value)
    assert refused.value.__cause__ is None


def test_settings_are_frozen_and_do_not_show_the_secret() -> None:
    settings = Settings(key_secret="a secret of the tests")  # noqa: S106 - of no system
    assert "a secret" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.partitions = 5


def test_setting_rows_show_every_setting_but_no_secret() -> None:
    url = "postgresql+psycopg://user:hidden@host/name"
    rows = setting_rows(Settings(key_secret="a secret of the tests", database_url=url))  # noqa: S106 - of no system
    shown = {variable: value for variable, value, _ in rows}
    assert set(shown) == {f"HUB_{name.upper()}" for name in Settings.model_fields}
    assert all(purpose for _, _, purpose in rows)
    assert (shown["HUB_KEY_SECRET"], shown["HUB_DATABASE_URL"]) == ("(set)", "(set)")
    assert shown["HUB_PARTITIONS"] == "4"
    assert shown["HUB_POLICY"] == ""
    nothing = {variable: value for variable, value, _ in setting_rows(Settings())}
    assert nothing["HUB_KEY_SECRET"] == ""
