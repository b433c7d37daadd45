"""One run of one participant, timed the same way for all.

The clock starts when the broker says that the participant's group holds the topic's partitions, which is the moment it
begins to consume: the start of a Java machine is not held against the sink, that of an interpreter not against the hub.
It stops when every partition's last record is in the database. What the run left behind is counted after that: a run
that lost a key or that its group has not consumed to the end is no run.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine
from sqlalchemy.schema import CreateTable

from hub.warehouse.database import open_database
from tests.bench.peers.connect import ConnectGround, ConnectWorker
from tests.bench.peers.fetch import Programs
from tests.bench.peers.group import GroupWatch
from tests.bench.peers.sink import WORKER, SinkSettings, group_of, sink_properties
from tests.bench.peers.target import NAME, last_applied, newest_table, rows_in, rows_with_wrong_id
from tests.bench.peers.topic import Filled
from tests.bench.support.ground import CONSUMED, Ground, Running, cpu_seconds, peak_memory_mb

START_LIMIT_S = 180.0
RUN_LIMIT_S = 600.0
_LAG_LIMIT_S = 30.0
_ROWS_EVERY_S = 0.02
_LOOKS_PER_CHECK = 50
_STAGED = "SELECT count(*) FROM plain_stage"
_PEOPLE = "SELECT count(*) FROM citizen_person_record"


@dataclass(frozen=True, slots=True)
class Field:
    """What the participants race on."""

    ground: Ground
    filled: Filled
    programs: Programs
    registry: str


@dataclass(frozen=True, slots=True)
class _Finish:
    """When a participant is done, and what it must have left behind."""

    is_done: Callable[[], bool]
    rows: Callable[[], int]
    rows_wanted: int


def run_sink(field: Field, settings: SinkSettings, run: str) -> dict[str, Any]:
    """Run Debezium's sink once."""
    name = f"{settings.name}_{run}"
    engine = _target(field, name)
    url = field.ground.embedded.create_database(name)
    place = ConnectGround(
        field.programs, ("sink", "apicurio"), field.ground.places.bootstrap, field.ground.folder / name
    )
    finish = _Finish(lambda: last_applied(engine, field.filled), lambda: rows_in(engine), field.filled.distinct)
    with ConnectWorker(place, sink_properties(settings, name, url, field.registry), WORKER) as worker:

        def check() -> None:
            if (problem := worker.problem()) is not None:
                raise SystemExit(f"{name}: {problem}")

        found = _timed(field, group_of(name), finish, check, [worker.pid])
    found["rows_with_wrong_event_id"] = rows_with_wrong_id(engine)
    _drop(field, name, engine)
    return found


def run_newest_row(field: Field, run: str) -> dict[str, Any]:
    """Run the hub's newest-row job once."""
    command = [sys.executable, "-m", "tests.bench.newest_row"]
    return _on_warehouse(field, f"newest_row_{run}", [command], (f"SELECT count(*) FROM {NAME}", field.filled.distinct))


def run_hub(field: Field, workers: int, run: str) -> dict[str, Any]:
    """Run the hub's whole job once: so many ``hub worker``."""
    commands = [[sys.executable, "-m", "hub.cli", "worker"]] * workers
    return _on_warehouse(field, f"whole_job_{workers}_{run}", commands, (_PEOPLE, field.filled.distinct))


def run_limit(field: Field, run: str) -> dict[str, Any]:
    """Run the limit once: consume, decode, COPY, nothing else."""
    command = [sys.executable, "-m", "tests.bench.copy_limit"]
    return _on_warehouse(field, f"limit_{run}", [command], (_STAGED, field.filled.events))


def _on_warehouse(field: Field, name: str, commands: Sequence[Sequence[str]], rows: tuple[str, int]) -> dict[str, Any]:
    """Run a job that stores its offsets with its rows; ``rows``: the query that counts them, and what it must say."""
    warehouse = field.ground.warehouse(name)
    finish = _Finish(
        lambda: warehouse.value(CONSUMED) >= field.filled.events, lambda: warehouse.value(rows[0]), rows[1]
    )
    found = _run_processes(field, name, commands, warehouse.environment, finish)
    field.ground.drop(warehouse)
    return found


def _run_processes(
    field: Field, name: str, commands: Sequence[Sequence[str]], environment: Mapping[str, str], finish: _Finish
) -> dict[str, Any]:
    started = [
        field.ground.start(f"{name}_{number}", command, {**environment, "HUB_DATA_DIR": _folder(field, name, number)})
        for number, command in enumerate(commands)
    ]

    def check() -> None:
        for running in started:
            running.check()

    try:
        return _timed(field, name, finish, check, [running.process.pid for running in started])
    finally:
        _stop(started)


def _timed(field: Field, group: str, finish: _Finish, check: Callable[[], None], pids: Sequence[int]) -> dict[str, Any]:
    servers = [pid for of_server in field.ground.servers().values() for pid in of_server]
    with GroupWatch(field.ground.places.bootstrap, group) as watch:
        began = watch.wait_for_start(START_LIMIT_S, check)
        cpu_before = [sum(map(cpu_seconds, pids)), sum(map(cpu_seconds, servers))]
        ended = _wait(finish.is_done, began + RUN_LIMIT_S, check)
        cpu = [sum(map(cpu_seconds, pids)) - cpu_before[0], sum(map(cpu_seconds, servers)) - cpu_before[1]]
        memory = sum(map(_family_peak_mb, pids))
        caught_up = watch.wait_for_lag_0(field.filled.events, _LAG_LIMIT_S)
    rows = finish.rows()
    if rows != finish.rows_wanted or not caught_up:
        raise SystemExit(f"{group}: {rows:,} rows, not {finish.rows_wanted:,}; lag is 0: {caught_up}")
    seconds = ended - began
    return {
        "seconds": round(seconds, 3),
        "events_per_s": round(field.filled.events / seconds),
        "rows": rows,
        "peak_memory_mb": memory,
        "cpu_s": round(cpu[0], 1),
        "servers_cpu_s": round(cpu[1], 1),
    }


def _family_peak_mb(pid: int) -> float:
    """Return the peak memory of a process and its children, the hub's decoder among them."""
    children = psutil.Process(pid).children(recursive=True)
    return round(sum(peak_memory_mb(process) for process in (pid, *(child.pid for child in children))), 1)


def _wait(is_done: Callable[[], bool], deadline: float, check: Callable[[], None]) -> float:
    looks = 0
    while not is_done():
        looks += 1
        if looks % _LOOKS_PER_CHECK == 0:
            check()
        if time.monotonic() > deadline:
            raise SystemExit(f"not done after {RUN_LIMIT_S:.0f} s")
        time.sleep(_ROWS_EVERY_S)
    return time.monotonic()


def _target(field: Field, name: str) -> Engine:
    engine = open_database(field.ground.embedded.create_database(name), "public", "bench")
    with engine.begin() as connection:
        connection.execute(CreateTable(newest_table()))
    return engine


def _drop(field: Field, name: str, engine: Engine) -> None:
    engine.dispose()
    field.ground.embedded.drop_database(name)


def _folder(field: Field, name: str, number: int) -> str:
    folder: Path = field.ground.folder / f"{name}-{number}"
    return str(folder)


def _stop(started: Sequence[Running]) -> None:
    for running in started:
        running.stop()
