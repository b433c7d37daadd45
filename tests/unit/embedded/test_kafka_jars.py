"""The jars of Kafka: pinned, fetched, verified, and what is said when that fails. No network."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.config import Settings
from hub.embedded import jars
from hub.embedded.errors import DownloadError
from hub.model.errors import ConfigError


@dataclass
class FakeMaven:
    """Gives each jar its right bytes, or what ``answers`` says."""

    answers: dict[str, bytes | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def fetch(self, jar: jars.Jar, folder: Path) -> Path:
        """Write the jar into the folder, or fail as told."""
        self.asked.append(jar.artifact)
        answer = self.answers.get(jar.artifact, jar.artifact.encode())
        if isinstance(answer, Exception):
            raise answer
        path = folder / jar.file_name
        path.write_bytes(answer)
        return path


@pytest.fixture(autouse=True)
def two_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = tuple(jars.Jar("g", name, "1", hashlib.sha256(name.encode()).hexdigest()) for name in ("kafka", "clients"))
    monkeypatch.setattr(jars, "pinned_jars", lambda: pinned)


def _class_path(tmp_path: Path, maven: FakeMaven) -> Sequence[Path]:
    return jars.class_path(Settings(cache_dir=tmp_path), lambda _: None, maven.fetch)


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    maven = FakeMaven()
    first = _class_path(tmp_path, maven)
    assert [path.read_text("utf-8") for path in first] == ["kafka", "clients"]
    assert _class_path(tmp_path, maven) == first
    assert maven.asked == ["kafka", "clients"]


def test_changed_jar_is_fetched_again_and_the_others_kept(tmp_path: Path) -> None:
    maven = FakeMaven()
    _class_path(tmp_path, maven)[1].write_bytes(b"damaged")
    maven.asked.clear()
    assert [path.read_text("utf-8") for path in _class_path(tmp_path, maven)] == ["kafka", "clients"]
    assert maven.asked == ["clients"]


def test_broken_download_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"clients-1\.jar could not be fetched") as raised:
        _class_path(tmp_path, FakeMaven({"clients": ConnectionError("no route")}))
    assert raised.value.code == "DOWNLOAD"
    for advice in ("proxy", "HUB_KAFKA_HOME", str(tmp_path)):
        assert advice in raised.value.message


def test_download_with_other_content_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="not the file pinned") as raised:
        _class_path(tmp_path, FakeMaven({"kafka": b"<html>blocked</html>"}))
    assert f"delete {tmp_path}" in raised.value.message
    assert not list(tmp_path.rglob("*.jar"))


def test_next_run_goes_on_where_a_broken_download_stopped(tmp_path: Path) -> None:
    with pytest.raises(DownloadError):
        _class_path(tmp_path, FakeMaven({"clients": RuntimeError("not found")}))
    maven = FakeMaven()
    _class_path(tmp_path, maven)
    assert maven.asked == ["clients"]


def test_kafka_home_is_used_and_nothing_fetched(tmp_path: Path) -> None:
    libs = tmp_path / "libs"
    libs.mkdir()
    for name in ("kafka_2.13-4.3.0.jar", "slf4j.jar"):
        (libs / name).touch()
    maven = FakeMaven()
    found = jars.class_path(Settings(kafka_home=tmp_path, cache_dir=tmp_path / "no"), lambda _: None, maven.fetch)
    assert [path.name for path in found] == ["kafka_2.13-4.3.0.jar", "slf4j.jar"]
    assert maven.asked == []


def test_kafka_home_is_refused_when_it_holds_no_kafka(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="HUB_KAFKA_HOME"):
        jars.class_path(Settings(kafka_home=tmp_path), lambda _: None)
