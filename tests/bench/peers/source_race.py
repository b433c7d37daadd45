"""Snapshot of a source table to its topic: the hub's connector against Debezium's PostgreSQL source connector.

The same PostgreSQL table of people, the same broker, topics of four partitions, LZ4, ``acks=all`` and an idempotent
producer on both sides, in turn. Debezium writes what it is made to write, the row before and after with where it comes
from, as Avro by Apicurio's converter, and in a second setting as JSON without schemas; the hub writes the subject's
event, mapped, checked and with its event id. The clock runs, seen from outside for both, from the first record on the
topic to the last; what was there at the first look is not counted. Run with ``make bench-source``.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from hub.config import load_settings
from tests.bench.peers.connect import ConnectGround, ConnectWorker
from tests.bench.peers.fetch import Programs, fetch_programs
from tests.bench.peers.registry import RegistryStub
from tests.bench.peers.sink import avro_converter
from tests.bench.peers.source_table import TABLE, make_table, write_declaration
from tests.bench.support.events import TOPIC
from tests.bench.support.ground import Ground, cpu_seconds, peak_memory_mb
from tests.bench.support.measured import keep, progress

PARTITIONS = 4
_LIMIT_S = 600.0
_LOOK_EVERY_S = 0.02
_LOOKS_PER_CHECK = 50
_DATABASE = "population"
_JSON = "org.apache.kafka.connect.json.JsonConverter"


def main() -> None:
    """Run the race, print its table, keep its figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with Ground(PARTITIONS) as ground, RegistryStub() as registry:
        programs = fetch_programs(load_settings(), lambda line: progress.print(f"  {line}"))
        race = SourceRace(ground, programs, registry.url, options.rows)
        runs = race.rounds(options.rounds)
    found = {"rows": options.rows, "partitions": PARTITIONS, "runs": runs, **figures(runs)}
    keep("source", found)
    show(found)


class SourceRace:
    """The table and the two that read it."""

    def __init__(self, ground: Ground, programs: Programs, registry: str, rows: int) -> None:
        self._ground = ground
        self._programs = programs
        self._registry = registry
        self._rows = rows
        self._url = _with_logical_log(ground)
        self._engine: Engine = create_engine(self._url)
        make_table(self._engine, rows)

    def rounds(self, count: int) -> dict[str, list[dict[str, Any]]]:
        """Run everyone in turn."""
        participants: dict[str, Callable[[str], dict[str, Any]]] = {
            "hub": self._hub,
            "debezium_avro": lambda run: self._debezium(run, self._avro()),
            "debezium_json": lambda run: self._debezium(run, _json()),
        }
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in participants}
        for number in range(1, count + 1):
            for name, run in participants.items():
                found = run(f"{name}_{number}")
                runs[name].append(found)
                progress.print(f"{name:>16} {number}/{count}: {found['rows_per_s']:>9,} rows/s")
        self._engine.dispose()
        return runs

    def _hub(self, run: str) -> dict[str, Any]:
        declaration = write_declaration(self._ground.folder, run)
        places = self._ground.places
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HUB_")},
            "HUB_KAFKA_BOOTSTRAP": places.bootstrap,
            "HUB_DATABASE_URL": places.database_url,
            "HUB_KEY_SECRET": places.key_secret,
            "HUB_DATA_DIR": str(self._ground.folder / run),
            "SOURCE_DATABASE_URL": self._url,
        }
        command = [sys.executable, "-m", "hub.cli", "connect", "run", str(declaration), "--once", "--json"]
        with _Ends(places.bootstrap, TOPIC) as ends:
            connector = self._ground.start(run, command, environment)
            try:
                found = _timed(ends, self._rows, connector.check, connector.process.pid)
                connector.finished(60)
            finally:
                connector.stop()
        said = json.loads(connector.log.read_text().splitlines()[-1])
        assert (said["published"], said["rejected"]) == (self._rows, 0)
        return found

    def _debezium(self, run: str, converters: Mapping[str, str]) -> dict[str, Any]:
        url = make_url(self._url)
        connector = {
            "name": run,
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "database.hostname": str(url.host),
            "database.port": str(url.port),
            "database.user": str(url.username),
            "database.password": str(url.password),
            "database.dbname": str(url.database),
            "plugin.name": "pgoutput",
            "slot.name": run,
            "publication.name": run,
            "topic.prefix": run,
            "table.include.list": f"public.{TABLE}",
            "snapshot.mode": "initial_only",
            "max.batch.size": "8192",
            "max.queue.size": "32768",
            "producer.override.compression.type": "lz4",
            "producer.override.batch.size": "524288",
            "producer.override.linger.ms": "20",
            "topic.creation.default.replication.factor": "1",
            "topic.creation.default.partitions": str(PARTITIONS),
            **converters,
        }
        place = ConnectGround(
            self._programs, ("source", "apicurio"), self._ground.places.bootstrap, self._ground.folder / run
        )
        with (
            _Ends(self._ground.places.bootstrap, f"{run}.public.{TABLE}") as ends,
            ConnectWorker(place, connector) as worker,
        ):

            def check() -> None:
                if (problem := worker.problem()) is not None:
                    raise SystemExit(f"{run}: {problem}")

            found = _timed(ends, self._rows, check, worker.pid)
        self._forget(run)
        return found

    def _forget(self, run: str) -> None:
        """Drop what the connector left in the source."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            dropping = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = :name"
            connection.execute(text(dropping), {"name": run})
            connection.execute(text(f"DROP PUBLICATION IF EXISTS {run}"))

    def _avro(self) -> dict[str, str]:
        return {
            f"{converter}{name.removeprefix(prefix)}": value
            for converter in ("key.converter", "value.converter")
            for prefix in ("value.converter",)
            for name, value in {
                **avro_converter("value.converter", self._registry),
                "value.converter.apicurio.registry.auto-register": "true",
                "value.converter.apicurio.registry.find-latest": "false",
            }.items()
        }


def _json() -> dict[str, str]:
    return {
        "key.converter": _JSON,
        "value.converter": _JSON,
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
    }


def _with_logical_log(ground: Ground) -> str:
    """Let the bench's own PostgreSQL keep what Debezium needs, for everyone, and return the source's URL."""
    server = create_engine(ground.places.database_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ALTER SYSTEM SET wal_level = 'logical'"))
    server.dispose()
    ground.embedded.stop_postgres()
    ground.embedded.start_postgres()
    return ground.embedded.create_database(_DATABASE)


class _Ends:
    """How many records a topic holds, beside those it held before."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=10_000)
        self._parts = {TopicPartition(topic, number): -1 for number in range(PARTITIONS)}
        self._topic = topic
        self._before = self._sum()

    def __enter__(self) -> "_Ends":
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()

    def records(self) -> int:
        """Return how many have come since."""
        return self._sum() - self._before

    def _sum(self) -> int:
        if self._topic not in self._admin.list_topics():
            return 0
        try:
            return sum(int(found.offset) for found in self._admin.list_partition_offsets(self._parts).values())
        except KafkaError:
            return 0


def _timed(ends: _Ends, rows: int, check: Callable[[], None], pid: int) -> dict[str, Any]:
    first = _wait(ends, 1, check)
    began, cpu_before = time.monotonic(), cpu_seconds(pid)
    memory = peak_memory_mb(pid)
    last = first
    looks = 0
    while last < rows:
        time.sleep(_LOOK_EVERY_S)
        last = ends.records()
        memory = max(memory, peak_memory_mb(pid) if Path(f"/proc/{pid}").exists() else 0.0)
        looks += 1
        if looks % _LOOKS_PER_CHECK == 0 and last < rows:
            check()
    seconds = time.monotonic() - began
    return {
        "seconds": round(seconds, 3),
        "counted": last - first,
        "rows_per_s": round((last - first) / seconds),
        "cpu_s": round(cpu_seconds(pid) - cpu_before, 1),
        "peak_memory_mb": memory,
    }


def _wait(ends: _Ends, wanted: int, check: Callable[[], None]) -> int:
    deadline = time.monotonic() + _LIMIT_S
    looks = 0
    while (found := ends.records()) < wanted:
        looks += 1
        if looks % _LOOKS_PER_CHECK == 0:
            check()
        if time.monotonic() > deadline:
            raise SystemExit(f"no record on the topic after {_LIMIT_S:.0f} s")
        time.sleep(_LOOK_EVERY_S)
    return found


def figures(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return minimum, median and maximum of everyone, and the hub's ratio to each of Debezium's settings."""
    rates = {name: sorted(run["rows_per_s"] for run in of) for name, of in runs.items()}
    medians = {name: statistics.median(of) for name, of in rates.items()}
    per_s = {name: {"min": of[0], "median": medians[name], "max": of[-1]} for name, of in rates.items()}
    ratios = {f"hub_vs_{name}": round(medians["hub"] / rate, 3) for name, rate in medians.items() if name != "hub"}
    return {"rows_per_s": per_s, "ratios": ratios}


def show(found: Mapping[str, Any]) -> None:
    """Print the table and the ratio."""
    console = Console(highlight=False)
    table = Table("connector", "min/s", "median/s", "max/s", "memory MB", "CPU s", box=None)
    for name, values in found["rows_per_s"].items():
        runs = found["runs"][name]
        rates = [f"{values[key]:,.0f}" for key in ("min", "median", "max")]
        memory = max(run["peak_memory_mb"] for run in runs)
        table.add_row(name, *rates, f"{memory:,.0f}", f"{statistics.median(run['cpu_s'] for run in runs):.1f}")
    console.print(table)
    for name, ratio in found["ratios"].items():
        console.print(f"{name} = {ratio:.2f}")


if __name__ == "__main__":
    main()
