"""What a benchmark stands on: an engine of its own in a temporary folder, databases, and processes on them."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from sqlalchemy import Engine, text

from hub.config import Settings
from hub.embedded.engine import Engine as Embedded
from hub.embedded.locate import Endpoints
from hub.operate.log.topics import create_topics
from hub.topology import topics
from hub.warehouse.database import open_database
from tests.bench.support.events import fill
from tests.bench.support.measured import progress

SOURCE = "dancu"
WORKER = (sys.executable, "-m", "hub.cli", "worker")
SHARE = (sys.executable, "-m", "hub.cli", "share")
PLACED = "SELECT count(*) FROM log_partition WHERE topic LIKE 'hub.%'"
CONSUMED = "SELECT coalesce(sum(consumed), 0) FROM log_partition"


class Ground:
    """Kafka, PostgreSQL and the processes started on them; all of it ends with the context."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
        self.embedded = Embedded(Settings(data_dir=self.folder, partitions=partitions))
        self.processes: list[Running] = []
        self._places: Endpoints | None = None

    def __enter__(self) -> Self:
        try:
            self._places = self.embedded.up(lambda line: progress.print(f"  {line}"))
            create_topics(self._places.bootstrap, topics(self.partitions), replication=1)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for running in self.processes:
            running.stop()
        self.embedded.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def places(self) -> Endpoints:
        """Where Kafka and PostgreSQL are."""
        assert self._places is not None
        return self._places

    def fill(self, count: int, all_new: bool = False) -> None:
        """Produce citizen events and say how fast; ``all_new``: each is about another person."""
        places = self.places
        rate = asyncio.run(fill(places.bootstrap, places.key_secret, SOURCE, count, self.partitions, all_new))
        progress.print(f"filled the topic with {count:,} events at {rate:,.0f}/s")

    def warehouse(self, name: str, checkout: Path | None = None) -> "Warehouse":
        """Make a migrated database with a worker's environment around it, by this checkout or another."""
        url = self.embedded.create_database(name)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HUB_")},
            "HUB_KAFKA_BOOTSTRAP": self.places.bootstrap,
            "HUB_DATABASE_URL": url,
            "HUB_KEY_SECRET": self.places.key_secret,
            "HUB_DATA_DIR": str(self.folder / name),
            "HUB_CONSUMER_GROUP": name,
        }
        made = Warehouse(name, environment, open_database(url, "hub", "bench"))
        migrating = [sys.executable, "-m", "hub.cli", "db", "migrate"]
        subprocess.run(migrating, env=environment, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
        return made

    def drop(self, warehouse: "Warehouse") -> None:
        """Drop a warehouse's database."""
        warehouse.engine.dispose()
        self.embedded.drop_database(warehouse.name)

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], checkout: Path | None = None
    ) -> "Running":
        """Start a process, of this checkout or another; it ends with the ground at the latest."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(list(command), env=dict(environment), cwd=checkout, stdout=output, stderr=output)
        running = Running(name, process, log)
        self.processes.append(running)
        return running

    def servers(self) -> dict[str, list[int]]:
        """Return the process numbers of the servers, by name."""
        found = {part.name: part.pid for part in self.embedded.status().parts if part.pid is not None}
        return {name: [pid] for name, pid in found.items()}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A migrated database, and the environment of the hub's commands on it."""

    name: str
    environment: Mapping[str, str]
    engine: Engine

    def value(self, query: str) -> int:
        """Return the one number that a query gives."""
        with self.engine.connect() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def wait(self, query: str, wanted: int, running: "Running", every_s: float = 0.02) -> float:
        """Return the time (``time.monotonic``) at which a count reached what is wanted.

        Raises:
            SystemExit: the process that is to bring it there has ended.
        """
        while self.value(query) < wanted:
            running.check()
            time.sleep(every_s)
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Running:
    """A process of a benchmark."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """End the benchmark when the process has ended; its last lines say why."""
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")

    def finished(self, limit_s: float) -> None:
        """Wait for a process that ends by itself."""
        self.process.wait(limit_s)
        if self.process.returncode:
            raise SystemExit(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")

    def stop(self, limit_s: float = 30.0) -> None:
        """End it as an operator would; kill it when it has not ended in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and all its descendants that live; 0 for one that has ended."""
    try:
        first = psutil.Process(pid)
        family = [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, its children not included."""
    return float(psutil.Process(pid).memory_info().rss / 2**20)


def peak_memory_mb(pid: int) -> float:
    """Return the process's peak resident memory, its children's not included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0
