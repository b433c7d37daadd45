"""What the engine remembers between commands: which processes it started, where they listen, and its own secrets.

``engine.json`` is replaced atomically; ``secrets.json`` is written once, and only its owner can read it.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

_STATE_FILE = "engine.json"
_SECRETS_FILE = "secrets.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process and its start time: the pid alone may have been given to another process since."""

    pid: int
    started_at: float


@dataclass(frozen=True, slots=True)
class PartState:
    """One server: its ports (kept over restarts), its process if one was started, and its address without secrets."""

    ports: tuple[int, ...]
    url: str
    process: ProcessRef | None = None

    def stopped(self) -> "PartState":
        """Return the same part without a process."""
        return replace(self, process=None)


@dataclass(frozen=True, slots=True)
class EngineState:
    """The engine's last state: whether it should be up, and its parts by name."""

    is_up: bool = False
    parts: Mapping[str, PartState] = field(default_factory=dict)

    def with_part(self, name: str, part: PartState) -> "EngineState":
        """Return the state with one part replaced."""
        return replace(self, parts={**self.parts, name: part})


@dataclass(frozen=True, slots=True)
class EngineSecrets:
    """Generated once per data folder; never logged."""

    postgres_password: str = field(repr=False)
    key_secret: str = field(repr=False)


def load_state(data_dir: Path) -> EngineState:
    """Read the state; if the file is missing, unreadable or foreign, nothing is remembered."""
    try:
        stored = json.loads((data_dir / _STATE_FILE).read_text("utf-8"))
        if stored["format"] != _FORMAT:
            return EngineState()
        return EngineState(bool(stored["is_up"]), {name: _part(part) for name, part in stored["parts"].items()})
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return EngineState()


def save_state(data_dir: Path, state: EngineState) -> None:
    """Replace the state file atomically."""
    parts = {name: asdict(part) for name, part in state.parts.items()}
    _write(data_dir / _STATE_FILE, {"format": _FORMAT, "is_up": state.is_up, "parts": parts}, 0o644)


def load_secrets(data_dir: Path) -> EngineSecrets | None:
    """Return the secrets of the data folder, or None if it has none."""
    try:
        return EngineSecrets(**json.loads((data_dir / _SECRETS_FILE).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None


def load_or_make_secrets(data_dir: Path) -> EngineSecrets:
    """Return the secrets of the data folder; creates them at the first call."""
    found = load_secrets(data_dir)
    if found is not None:
        return found
    made = EngineSecrets(postgres_password=secrets.token_urlsafe(24), key_secret=secrets.token_urlsafe(32))
    _write(data_dir / _SECRETS_FILE, asdict(made), 0o600)
    return made


def _part(stored: Mapping[str, Any]) -> PartState:
    process = stored["process"]
    return PartState(
        ports=tuple(int(port) for port in stored["ports"]),
        url=str(stored["url"]),
        process=None if process is None else ProcessRef(int(process["pid"]), float(process["started_at"])),
    )


def _write(path: Path, content: Mapping[str, Any], mode: int) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
