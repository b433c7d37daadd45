"""Kafka's jars: downloaded once per user, each verified against the SHA-256 pinned in ``kafka_jars.sha256``.

A verified set gets a stamp with the size and modification time of each file, so that later starts only look at the
folder. A file that has changed since is hashed again, and downloaded again if it is not the pinned one.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hub.config import Settings
from hub.embedded.errors import DownloadError
from hub.model.errors import ConfigError

KAFKA_VERSION = "4.3.0"
_STAMP = "verified.json"
_PARALLEL = 6
_TIMEOUT_S = 30
_TELL_EVERY = 10

Fetch = Callable[["Jar", Path], Path]
"""Download one jar into a folder and return its path; raises OSError, RuntimeError or ValueError."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar: Maven coordinate and SHA-256."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the name of the jar's file."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars() -> tuple[Jar, ...]:
    """Return Kafka's jars as the package pins them."""
    text = resources.files("hub.embedded").joinpath("kafka_jars.sha256").read_text("utf-8")
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(_jar(sha256, coordinate) for sha256, coordinate in rows)


def _jar(sha256: str, coordinate: str) -> Jar:
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def class_path(settings: Settings, progress: Callable[[str], None], fetch: Fetch | None = None) -> tuple[Path, ...]:
    """Return Kafka's class path: the jars of ``HUB_KAFKA_HOME``, or the user's cache, after downloading missing ones.

    Args:
        settings: ``kafka_home`` and ``cache_dir`` are read.
        progress: receives a text about slow work.
        fetch: downloads one jar; by default jgo from Maven Central; tests replace it.

    Raises:
        ConfigError: ``HUB_KAFKA_HOME`` is not an unpacked Kafka.
        DownloadError: a jar could not be downloaded, or is not the pinned one.
    """
    if settings.kafka_home is not None:
        return _jars_of_home(settings.kafka_home)
    folder = settings.cache_dir.expanduser().resolve() / f"kafka-{KAFKA_VERSION}"
    jars = pinned_jars()
    try:
        if not _is_stamped(folder, jars):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                _complete(folder, jars, progress, fetch or _fetch_from_maven)
    except PermissionError as error:
        raise DownloadError(
            f"cannot write the cache folder {folder} ({error.strerror}); give it to your user or set HUB_CACHE_DIR"
        ) from error
    return tuple(folder / jar.file_name for jar in jars)


def _jars_of_home(home: Path) -> tuple[Path, ...]:
    found = tuple(sorted((home / "libs").glob("*.jar")))
    if not any(path.name.startswith("kafka_2.") for path in found):
        raise ConfigError([f"HUB_KAFKA_HOME: {home} is not an unpacked Kafka (no libs/kafka_2.*.jar in it)"])
    return found


def _complete(folder: Path, jars: Sequence[Jar], progress: Callable[[str], None], fetch: Fetch) -> None:
    missing = [jar for jar in jars if not _is_pinned(folder / jar.file_name, jar)]
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as temporary:
        fetched = ThreadPoolExecutor(max_workers=_PARALLEL)
        try:
            waiting = [(jar, fetched.submit(fetch, jar, Path(temporary))) for jar in missing]
            for number, (jar, future) in enumerate(waiting, start=1):
                if number % _TELL_EVERY == 1:
                    progress(f"fetching Kafka {KAFKA_VERSION}: {number - 1} of {len(missing)} jars")
                try:
                    path = future.result()
                except (OSError, RuntimeError, ValueError) as error:
                    raise DownloadError(_failed(jar, folder, error)) from error
                if not _is_pinned(path, jar):
                    raise DownloadError(_mismatch(jar, folder))
                shutil.move(path, folder / jar.file_name)
        finally:
            fetched.shutdown(wait=True, cancel_futures=True)
    _write_stamp(folder, jars)


def _fetch_from_maven(jar: Jar, folder: Path) -> Path:
    from jgo.maven import MavenContext  # heavy, and only for the first start

    context = MavenContext(repo_cache=folder, local_repos=[], timeout=_TIMEOUT_S)
    path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    return path


def _is_pinned(path: Path, jar: Jar) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256


def _facts(folder: Path, jars: Iterable[Jar]) -> dict[str, list[object]]:
    facts: dict[str, list[object]] = {}
    for jar in jars:
        seen = (folder / jar.file_name).stat()
        facts[jar.file_name] = [jar.sha256, seen.st_size, seen.st_mtime_ns]
    return facts


def _is_stamped(folder: Path, jars: Sequence[Jar]) -> bool:
    try:
        stamped: Mapping[str, object] = json.loads((folder / _STAMP).read_text("utf-8"))
        return stamped == _facts(folder, jars)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def _write_stamp(folder: Path, jars: Sequence[Jar]) -> None:
    partial = folder / f"{_STAMP}.partial"
    partial.write_text(json.dumps(_facts(folder, jars)), "utf-8")
    partial.replace(folder / _STAMP)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _failed(jar: Jar, folder: Path, error: Exception) -> str:
    return (
        f"{jar.file_name} could not be fetched from Maven Central ({type(error).__name__}: {str(error)[:160]}). "
        f"Check the network and the proxy (HTTPS_PROXY) and run the command again; "
        f"the files already in {folder} stay. "
        "Without a network, unpack Kafka and name its folder in HUB_KAFKA_HOME."
    )


def _mismatch(jar: Jar, folder: Path) -> str:
    return (
        f"{jar.file_name} as fetched is not the file pinned by its checksum: the download was cut off, or something "
        f"between here and Maven Central changes it. Run the command again; if the error stays, delete {folder}, "
        "check the proxy (HTTPS_PROXY), or unpack Kafka and name its folder in HUB_KAFKA_HOME."
    )
