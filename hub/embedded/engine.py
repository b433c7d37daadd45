"""Start, find and stop the embedded Kafka and PostgreSQL of one data folder.

The servers outlive the command that started them; later commands find them by the state file. A file lock allows only
one command at a time on a folder. Whatever was killed, and whenever, the next ``up`` brings the engine back with its
data.
"""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from hub.config import Settings
from hub.embedded import ports as port_numbers
from hub.embedded import postgres
from hub.embedded.errors import EngineError
from hub.embedded.kafka import KafkaServer, broker_answers
from hub.embedded.locate import KAFKA, POSTGRES, Endpoints, data_folder, embedded_parts, endpoints, with_database
from hub.embedded.processes import is_running, start, stop
from hub.embedded.server import Progress, Server
from hub.embedded.state import EngineState, PartState, load_or_make_secrets, load_state, save_state
from hub.model.errors import ConfigError, UnreachableError

_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 30.0
_LOCK_LIMIT_S = 180.0
_LOOK_EVERY_S = 0.1
_START_TRIES = 3


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One server as it is now; ``pid`` and ``is_running`` have no meaning for an external server."""

    name: str
    is_embedded: bool
    url: str | None
    pid: int | None
    is_running: bool
    answers: bool


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The engine as it is now."""

    data_dir: Path
    parts: tuple[PartStatus, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether every part answers."""
        return all(part.answers for part in self.parts)

    @property
    def is_anything_running(self) -> bool:
        """Whether any part of ours is running, or every part is external."""
        return any(part.is_running for part in self.parts) or not any(part.is_embedded for part in self.parts)


class Engine:
    """The embedded engine of one data folder; it does not touch parts that the settings place elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data_dir = data_folder(settings)
        self._state_lock = threading.Lock()

    @property
    def data_dir(self) -> Path:
        """Return the folder that holds everything of this engine."""
        return self._data_dir

    def up(self, progress: Progress = lambda _: None) -> Endpoints:
        """Start what is not running, wait until everything answers, and return where it is.

        Blocks; may be repeated; two callers wait for each other. ``progress`` is called from several threads.
        """
        names = embedded_parts(self._settings)
        if names:
            with self._exclusive(progress):
                self._in_parallel(names, lambda name: self._ensure(self._server(name), progress))
                self._remember(lambda state: replace(state, is_up=True))
        return endpoints(self._settings)

    def down(self, progress: Progress = lambda _: None) -> tuple[str, ...]:
        """Stop every server of this data folder cleanly and return the names of those that were running."""
        if not self._data_dir.is_dir():
            return ()
        stopped: list[str] = []

        def end(name: str) -> None:
            server = self._server(name)
            if self._end(server, server.polite_signal, progress):
                stopped.append(name)

        with self._exclusive(progress):
            self._in_parallel((POSTGRES, KAFKA), end)
            self._remember(lambda state: replace(state, is_up=False))
        return tuple(sorted(stopped))

    def status(self) -> EngineStatus:
        """Look at every part; starts and changes nothing."""
        state = load_state(self._data_dir)
        names = embedded_parts(self._settings)
        return EngineStatus(
            self._data_dir,
            tuple(
                self._embedded_status(name, state.parts.get(name)) if name in names else self._external_status(name)
                for name in (POSTGRES, KAFKA)
            ),
        )

    def start_postgres(self) -> None:
        """Start PostgreSQL if it is not running; it listens where it did before."""
        self._start_one(POSTGRES)

    def start_kafka(self) -> None:
        """Start Kafka if it is not running; it listens where it did before."""
        self._start_one(KAFKA)

    def stop_postgres(self, immediate: bool = False) -> None:
        """Stop PostgreSQL alone, cleanly or (``immediate``) like a crash."""
        self._stop_one(POSTGRES, hard=immediate)

    def stop_kafka(self, kill: bool = False) -> None:
        """Stop Kafka alone, cleanly or by SIGKILL."""
        self._stop_one(KAFKA, hard=kill)

    def create_database(self, name: str) -> str:
        """Create another database on the hub's server, unless it exists, and return its URL."""
        return self._on_server(name, postgres.create_database)

    def drop_database(self, name: str) -> None:
        """Drop a database made by ``create_database``, ending the connections to it; it need not exist."""
        self._on_server(name, postgres.drop_database)

    def _on_server(self, name: str, action: Callable[[str, str], None]) -> str:
        if not postgres.is_database_name(name):
            raise ConfigError([f"{name!r} is not a database name: use small letters, digits and _ only, at most 63"])
        main = endpoints(self._settings).database_url
        try:
            action(main.replace("+psycopg", "", 1), name)
        except psycopg.OperationalError as error:
            raise UnreachableError(f"PostgreSQL does not answer (SQLSTATE {error.sqlstate})") from error
        return with_database(main, name)

    def _start_one(self, name: str) -> None:
        if name in embedded_parts(self._settings):
            with self._exclusive(lambda _: None):
                self._ensure(self._server(name), lambda _: None)

    def _stop_one(self, name: str, hard: bool) -> None:
        server = self._server(name)
        with self._exclusive(lambda _: None):
            self._end(server, server.rude_signal if hard else server.polite_signal, lambda _: None)

    def _server(self, name: str) -> Server:
        logs = self._data_dir / "logs"
        if name == KAFKA:
            return KafkaServer(self._settings, self._data_dir / KAFKA, logs)
        password = load_or_make_secrets(self._data_dir).postgres_password
        return postgres.PostgresServer(self._data_dir / POSTGRES, logs / "postgres.log", password)

    def _ensure(self, server: Server, progress: Progress) -> None:
        part = load_state(self._data_dir).parts.get(server.name)
        process = part.process if part is not None and is_running(part.process) else server.leftover()
        if part is not None and process is not None:
            adopted = replace(part, process=process)
            if self._wait(server, adopted):
                self._remember(lambda state: state.with_part(server.name, adopted))
                return
        stop(process, server.polite_signal, _STOP_LIMIT_S)
        server.prepare(progress)
        for _ in range(_START_TRIES):
            progress(f"{server.name}: starting")
            part = self._launch(server, part.ports if part is not None else ())
            if self._wait(server, part):
                progress(f"{server.name}: answers")
                return
            stop(part.process, server.polite_signal, _STOP_LIMIT_S)
        raise EngineError(
            f"{server.name} does not start; the reason is at the end of its log in {self._data_dir / 'logs'}"
        )

    def _launch(self, server: Server, preferred: Sequence[int]) -> PartState:
        ports = port_numbers.choose(server.port_count, preferred)
        part = PartState(ports, server.url(ports))
        self._remember(lambda state: state.with_part(server.name, part))
        started = replace(part, process=start(server.launch(ports)))
        self._remember(lambda state: state.with_part(server.name, started))
        return started

    def _wait(self, server: Server, part: PartState) -> bool:
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline and is_running(part.process):
            if server.answers(part.ports):
                return True
            time.sleep(_LOOK_EVERY_S)
        return False

    def _end(self, server: Server, first: signal.Signals, progress: Progress) -> bool:
        part = load_state(self._data_dir).parts.get(server.name)
        process = part.process if part is not None and is_running(part.process) else server.leftover()
        if process is not None:
            progress(f"{server.name}: stopping")
            stop(process, first, _STOP_LIMIT_S)
        if part is not None:
            self._remember(lambda state: state.with_part(server.name, part.stopped()))
        return process is not None

    def _embedded_status(self, name: str, part: PartState | None) -> PartStatus:
        if part is None or not is_running(part.process):
            return PartStatus(name, True, None, None, is_running=False, answers=False)
        pid = part.process.pid if part.process is not None else None
        answers = self._server(name).answers(part.ports)
        return PartStatus(name, True, part.url, pid, is_running=True, answers=answers)

    def _external_status(self, name: str) -> PartStatus:
        if name == KAFKA:
            bootstrap = self._settings.kafka_bootstrap or ""
            return PartStatus(name, False, bootstrap, None, is_running=False, answers=broker_answers(bootstrap))
        url = (self._settings.database_url or "").replace("+psycopg", "", 1)
        return PartStatus(name, False, None, None, is_running=False, answers=postgres.server_answers(url))

    def _remember(self, change: Callable[[EngineState], EngineState]) -> None:
        with self._state_lock:
            save_state(self._data_dir, change(load_state(self._data_dir)))

    @staticmethod
    def _in_parallel(names: Sequence[str], action: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(max_workers=len(names)) as threads:
            waiting = [threads.submit(action, name) for name in names]
        for future in waiting:
            future.result()

    @contextmanager
    def _exclusive(self, progress: Progress) -> Iterator[None]:
        try:
            (self._data_dir / "logs").mkdir(mode=0o755, parents=True, exist_ok=True)
            descriptor = os.open(self._data_dir / "engine.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError as error:
            raise EngineError(f"cannot write {self._data_dir}: it belongs to another user; set HUB_DATA_DIR") from error
        try:
            deadline = time.monotonic() + _LOCK_LIMIT_S
            if not _lock(descriptor):
                progress("waiting for another command that starts or stops the engine")
            while not _lock(descriptor):
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"another command has been starting or stopping the engine in {self._data_dir} for too long"
                    )
                time.sleep(_LOOK_EVERY_S)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
