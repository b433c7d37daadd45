"""Print EXPLAIN (ANALYZE, BUFFERS) of every statement of a batch, against a warehouse with many people in it.

Each statement is explained in the batch's own transaction at the moment at which it runs, in a savepoint that is rolled
back, and then run: so its tables are as the batch left them. Time and buffers of the commit and of the COPY stand
beside. Needs PostgreSQL alone. Run with ``python -m tests.bench.explain --people 1000000``.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event

from hub.cli.shared.context import policy_path
from hub.config import Settings
from hub.embedded.engine import Engine as Embedded
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.model.policies.policy import load_policy
from hub.reconcile.fence import Stamp
from hub.reconcile.store import WarehouseStore
from hub.warehouse.database import open_database
from hub.warehouse.offsets import Position, ensure_positions
from hub.warehouse.setup.migrate import migrate
from hub.warehouse.sources import store_sources
from tests.bench.support.events import TOPIC, citizen_events
from tests.bench.support.ground import SOURCE
from tests.bench.support.measured import arguments_of, commit_of_checkout, keep, progress, put_into
from tests.bench.support.preload import preload

SECRET = "a secret of the bench"  # noqa: S105 - of no deployment
_NO_KAFKA = "127.0.0.1:1"
_HOT = """
    SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_newpage_upd, n_dead_tup, autovacuum_count,
           pg_relation_size(relid) / 1048576 AS heap_mb, pg_indexes_size(relid) / 1048576 AS index_mb
    FROM pg_stat_user_tables WHERE schemaname = 'hub' AND n_tup_ins + n_tup_upd > 0 ORDER BY relname
"""
_SHOWN, _WIDEST = 100, 160
_OPTIONS = """
    SELECT relname, array_to_string(reloptions, ', ') AS options
    FROM pg_class WHERE relnamespace = 'hub'::regnamespace AND reloptions IS NOT NULL AND relkind = 'r' ORDER BY relname
"""


def main() -> None:
    """Preload, run batches, explain one."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--people", type=int, default=100_000)
    arguments.add_argument("--known", type=float, default=0.5, help="share of the events' people who are there already")
    arguments.add_argument("--conflicts", type=int, default=1_000)
    arguments.add_argument("--batch", type=int, default=50_000)
    arguments.add_argument("--batches", type=int, default=6, help="how many are run, the last one explained")
    arguments.add_argument("--into", type=Path, help="document in which to replace the plans between its two marks")
    arguments.add_argument("--mark", default="plans", help="name of the marks")
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    embedded = Embedded(Settings(data_dir=folder, kafka_bootstrap=_NO_KAFKA))
    try:
        embedded.up(lambda line: progress.print(f"  {line}"))
        with GuardedDecoder(60.0, 4096) as decoder:
            found = run(embedded.create_database("bench_explain"), decoder, options)
    finally:
        embedded.down()
        shutil.rmtree(folder, ignore_errors=True)
    given = {name: getattr(options, name) for name in ("people", "known", "conflicts", "batch", "batches")}
    given["commit"] = commit_of_checkout()
    keep("explain", {**given, **found}, options.results)
    pages = pages_of({**given, **found})
    print(pages)  # noqa: T201 - a program's output
    if options.into is not None:
        put_into(options.into, options.mark, pages)


def run(url: str, decoder: GuardedDecoder, options: Any) -> dict[str, Any]:
    """Return the plans of one batch, how long each batch took, and what the updates did to the tables."""
    engine = open_database(url, "hub", "bench")
    migrate(engine, "hub")
    policy = load_policy(policy_path(Settings()))
    with engine.begin() as connection:
        numbers = store_sources(connection, policy)
        place = ensure_positions(connection, {(TOPIC, 0): 0})[TOPIC, 0]
    made = list(citizen_events(options.batch * options.batches, SECRET, SOURCE))
    keys = sorted({UUID(bytes=key) for key, _ in made}, key=lambda key: key.bytes[::-1])
    preload(engine, options.people, keys[: int(len(keys) * options.known)], options.conflicts)
    preparer = Preparer(decoder, SourceRules.of(policy, numbers), SECRET)
    store = WarehouseStore(engine, Stamp("bench", policy.digest))
    seconds = []
    explained = Explained()
    for number in range(options.batches):
        polled = polled_of(made, place, number * options.batch, options.batch)
        batch = preparer.prepare([polled])
        began = time.monotonic()
        if number < options.batches - 1:
            store.commit(batch)
            seconds.append(round(time.monotonic() - began, 3))
            continue
        with explaining(engine, explained):
            store.commit(batch)
    tables, settings = rows_of(engine, _HOT), rows_of(engine, _OPTIONS)
    engine.dispose()
    return {"batch_s": seconds, "plans": explained.plans, "tables": tables, "storage": settings}


def polled_of(made: list[tuple[bytes, bytes]], place: Position, first: int, count: int) -> Polled:
    """Return a stretch of the events as a poll of one log partition."""
    part = made[first : first + count]
    offsets = list(range(first, first + len(part)))
    return Polled(place.log, TOPIC, 0, first, offsets, [key for key, _ in part], [value for _, value in part])


@dataclass(slots=True)
class Explained:
    """Statements and their plans, in the order in which they ran."""

    plans: list[dict[str, Any]] = field(default_factory=list)
    is_asking: bool = False


@contextmanager
def explaining(engine: Engine, into: Explained) -> Iterator[None]:
    """Explain whatever the engine executes that can be explained."""

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        is_plannable = statement.lstrip().split(" ", 1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}
        if into.is_asking or not is_plannable or "advisory" in statement:
            return
        into.is_asking = True
        try:
            with connection.begin_nested() as savepoint:
                asked = connection.exec_driver_sql(
                    f"EXPLAIN (ANALYZE, BUFFERS, WAL, COSTS OFF) {statement}", parameters
                )
                plan = [line for (line,) in asked]
                savepoint.rollback()
        finally:
            into.is_asking = False
        into.plans.append({"statement": " ".join(statement.split()), "plan": plan})

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def rows_of(engine: Engine, query: str) -> list[dict[str, Any]]:
    """Return a query's rows as mappings."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(query).mappings()]


def pages_of(found: Mapping[str, Any]) -> str:
    """Return the plans as Markdown: what was run, a table of all statements, the plan of each, the tables after."""
    lines = [
        f"{found['people']:,} people, of whom {found['conflicts']:,} in conflict; {found['known']:.0%} of the events' "
        f"people are among them. Batch {found['batches']} of {found['batches']}, {found['batch']:,} events, commit "
        f"{found['commit']}. Seconds of the batches before: {', '.join(map(str, found['batch_s']))}.",
        "",
        "| | statement | ms | planning ms | WAL |",
        "|---|---|---|---|---|",
    ]
    for number, item in enumerate(found["plans"], start=1):
        times = [_after(item["plan"], word) for word in ("Execution Time: ", "Planning Time: ")]
        wal = _after(item["plan"], "WAL: ").split("bytes=")[-1].split(" ")[0]
        shown = item["statement"][:_SHOWN].replace("|", "")
        lines.append(f"| {number} | `{shown}` | {times[0]} | {times[1]} | {wal} |")
    for number, item in enumerate(found["plans"], start=1):
        lines += ["", f"{number}. `{item['statement'][:_SHOWN]}`", "", "```"]
        lines += [line[:_WIDEST] for line in item["plan"]] + ["```"]
    lines += ["", "Tables afterwards (`pg_stat_user_tables`):", "", "```"]
    lines += ["  ".join(f"{key}={value}" for key, value in row.items()) for row in found["tables"]] + ["```"]
    return "\n".join(lines)


def _after(plan: Sequence[str], word: str) -> str:
    """Return what follows a word where a plan first says it, without the unit."""
    found = (line.partition(word)[2] for line in plan if word in line)
    return next(found, "").removesuffix(" ms")


if __name__ == "__main__":
    main()
