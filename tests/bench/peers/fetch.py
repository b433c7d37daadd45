"""The peers' programs: fetched by the benchmark alone, pinned by SHA-256, kept in the user's cache."""

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jgo.maven import MavenContext

from hub.config import Settings
from hub.embedded.jars import KAFKA_VERSION

DEBEZIUM_VERSION = "3.6.0.Final"
APICURIO_VERSION = "2.6.13.Final"
_PINS = Path(__file__).with_name("peer_files.sha256")
_PLUGINS = ("sink", "source", "apicurio")
_DONE = ".complete"
_TIMEOUT_S = 60
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Pinned:
    """One pinned file and the set it belongs to."""

    of: str
    sha256: str
    group: str
    artifact: str
    version: str
    classifier: str = ""
    packaging: str = "jar"

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return f"{self.artifact}-{self.version}{'-' + self.classifier if self.classifier else ''}.{self.packaging}"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the peers lie: Connect's class path, and a folder per plugin."""

    class_path: tuple[Path, ...]
    plugins: dict[str, Path]


def pinned() -> tuple[Pinned, ...]:
    """Return the files of the peers."""
    rows = [line.split() for line in _PINS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return tuple(Pinned(of, sha256, *coordinate.split(":")) for of, sha256, coordinate in rows)


def fetch_programs(settings: Settings, progress: Callable[[str], None]) -> Programs:
    """Return the peers' programs, fetched and unpacked where missing; every file is the pinned one."""
    root = settings.cache_dir.expanduser().resolve() / f"peers-{KAFKA_VERSION}-{DEBEZIUM_VERSION}-{APICURIO_VERSION}"
    files = pinned()
    digest = hashlib.sha256(_PINS.read_bytes()).hexdigest()
    stamp = root / _DONE
    if not stamp.is_file() or stamp.read_text() != digest:
        progress(f"fetching {len(files)} files of the peers into {root}")
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix="fetching-") as temporary:
            with ThreadPoolExecutor(_PARALLEL) as threads:
                fetched = list(threads.map(lambda file: _fetch(file, Path(temporary)), files))
            for name in {file.of for file in files}:
                shutil.rmtree(root / name, ignore_errors=True)
                (root / name).mkdir()
            for file, path in zip(files, fetched, strict=True):
                _put(file, path, root / file.of)
        stamp.write_text(digest)
    class_path = tuple(root / file.of / file.file_name for file in files if file.of == "connect")
    return Programs(class_path, {name: root / name for name in _PLUGINS})


def _fetch(file: Pinned, folder: Path) -> Path:
    context = MavenContext(repo_cache=folder, local_repos=[], timeout=_TIMEOUT_S)
    component = context.project(file.group, file.artifact).at_version(file.version)
    path: Path = component.artifact(file.classifier, file.packaging).resolve()
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        raise SystemExit(f"{file.file_name} as fetched is not the pinned file (SHA-256 {found}); run it again")
    return path


def _put(file: Pinned, path: Path, folder: Path) -> None:
    if file.packaging == "tar.gz":
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    else:
        # Connect takes each entry of a plugin folder for a plugin of its own: jars that belong together lie in one
        place = folder if file.of == "connect" else folder / file.of
        place.mkdir(exist_ok=True)
        shutil.move(path, place / file.file_name)
