"""Benchmark of a boundary change: residences of the whole country recoded by one job, in one transaction.

Fills that many residence claims, spread over the communes of the list of 2004 that went whole into another, and over
those that were split, and times the plan and the job as ``hub units recode`` runs them. Rows are counted in the
database. Prints a table, keeps the raw figures under ``tests/bench/results/``.
"""

import os
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from rich.progress import Progress
from sqlalchemy import text

from hub.config import Settings
from hub.embedded.engine import Engine as Embedded
from hub.operate.units.recode import Job, RecodePlan, execute_recode, plan_recode
from tests.bench.support.measured import arguments_of, keep, show
from tests.bench.support.measured import progress as console
from tests.bench.support.preload import without_indexes
from tests.support.merge_world import World, open_world
from tests.support.unit_world import load_every_unit

REFORM = date(2025, 7, 1)
LIMIT_S_PER_MILLION = 30.0
_NO_KAFKA = "127.0.0.1:1"

_FILL = """
    INSERT INTO citizen_residence_claim
        (key, kind, source, source_epoch, source_version, content_hash, revoked, contested, event_id, occurred_at,
         recorded_at, operation, unit_scheme, source_agency, action, commune_code, pin)
    SELECT md5(n::text)::uuid, 'PERMANENT', :source, 1, 1, n, false, false, md5('e' || n)::uuid, '2025-03-01',
           '2025-03-01', 'SNAPSHOT', 'GSO_2004', 'G01', 'REGISTER', codes[1 + n % cardinality(codes)],
           '000299' || lpad((n % 1000000)::text, 6, '0')
    FROM generate_series(1, :residences) AS n,
         (SELECT array_agg(DISTINCT code ORDER BY code) AS codes FROM unit_now
          WHERE scheme = 'GSO_2004' AND length(code) = 5) AS communes
"""
_RECORDS = (
    "INSERT INTO citizen_residence_record (key, kind, source) SELECT key, kind, source FROM citizen_residence_claim"
)


_TABLES = ("citizen_residence_claim", "citizen_residence_record")


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--residences", type=int, default=1_000_000)
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    embedded = Embedded(Settings(data_dir=folder, kafka_bootstrap=_NO_KAFKA))
    try:
        embedded.up(lambda line: console.print(f"  {line}"))
        world = open_world(embedded.create_database("bench_recode"))
        found = {"residences": options.residences, **run(world, options.residences)}
        world.engine.dispose()
    finally:
        embedded.down()
        shutil.rmtree(folder, ignore_errors=True)
    keep("recode", found, options.results)
    show(found, table_of(found), options.json)


def run(world: World, residences: int) -> dict[str, Any]:
    """Fill the warehouse, recode, and recode again."""
    began = time.monotonic()
    units = load_every_unit(world, "a secret of the bench")
    console.print(f"{units:,} units in {time.monotonic() - began:.1f} s, what every code stands for derived from them")
    began = time.monotonic()
    with world.engine.begin() as connection, without_indexes(connection, *_TABLES):
        connection.execute(text(_FILL), {"source": world.numbers["population"], "residences": residences})
        connection.execute(text(_RECORDS))
    with world.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))
    console.print(f"{residences:,} residences filled in {time.monotonic() - began:.1f} s")
    plan, plan_s = timed_plan(world)
    rows, recode_s, cpu_s = timed_recode(world, plan)
    again, again_s, _ = timed_recode(world, timed_plan(world)[0])
    return {
        "plan": plan.as_json(),
        "plan_s": plan_s,
        "appended": rows,
        "recode_s": recode_s,
        "recode_cpu_s": cpu_s,
        "appended_again": again,
        "recode_again_s": again_s,
        "rows": counted(world),
    }


def timed_plan(world: World) -> tuple[RecodePlan, float]:
    """Plan, and say how long it took."""
    began = time.monotonic()
    with world.engine.connect() as connection:
        plan = plan_recode(connection, REFORM)
    return plan, time.monotonic() - began


def timed_recode(world: World, plan: RecodePlan) -> tuple[int, float, float]:
    """Recode in a transaction of its own: rows, seconds until it is committed, and seconds of the server's processor.

    The latter tells what the job needs when others use the machine too.
    """
    with Progress(console=console) as bar, world.engine.connect() as connection:
        task = bar.add_task("recoding", total=None)
        server = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        connection.rollback()
        began, used = time.monotonic(), processor_s(server)
        with connection.begin():
            job = Job(REFORM, "bench", "benchmark of a boundary change", plan.to_recode)
            rows = execute_recode(connection, job, lambda done, of: bar.update(task, completed=done, total=of))
        return rows, time.monotonic() - began, processor_s(server) - used


def processor_s(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counted(world: World) -> dict[str, int]:
    """Count what the job left in the warehouse, and what it must not have touched."""
    names = ("recode", "touched", "citizen_residence_claim", "citizen_residence_history", "action")
    return {name: int(world.rows(f"SELECT count(*) AS number FROM {name}")[0].number) for name in names}


def table_of(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the figures as rows."""
    limit_s = LIMIT_S_PER_MILLION * found["residences"] / 1_000_000
    return [
        ("plan, s", f"{found['plan_s']:.1f}", ""),
        ("recode, s", f"{found['recode_s']:.1f}", f"< {limit_s:.0f}"),
        ("rows appended", f"{found['appended']:,}", ""),
        ("processor time on the server, s", f"{found['recode_cpu_s']:.1f}", ""),
        ("recode again, s", f"{found['recode_again_s']:.1f}", ""),
        ("left to officers: in split units", f"{found['plan']['ambiguous']:,}", ""),
    ]


if __name__ == "__main__":
    main()
