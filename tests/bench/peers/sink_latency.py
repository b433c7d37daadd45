"""Latency of Debezium's sink: from a producer's send to the row visible to another connection, beside the hub's own.

The same traffic, machine and clock as ``tests.bench.latency``, and the setting that won the race; the sink writes the
record's place into the row, so that one can ask which offsets are visible. Nothing else runs: no portal, no audit. Run
with ``python -m tests.bench.peers.sink_latency --seconds 120``.
"""

import os
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Index, Integer
from sqlalchemy.schema import CreateIndex, CreateTable

from hub.config import load_settings
from hub.warehouse.database import open_database
from tests.bench.latency import WARM_UP_S, Pace, paced, until_visible
from tests.bench.peers.connect import ConnectGround, ConnectWorker
from tests.bench.peers.fetch import fetch_programs
from tests.bench.peers.group import GroupWatch
from tests.bench.peers.jobs import START_LIMIT_S
from tests.bench.peers.registry import RegistryStub
from tests.bench.peers.sink import WORKER, SinkSettings, group_of, sink_properties
from tests.bench.peers.target import NAME, newest_table
from tests.bench.support.ground import Ground, Warehouse
from tests.bench.support.measured import arguments_of, keep, progress, show

PARTITIONS = 4
WINNER = SinkSettings(2, unnest=False)
_PARTITION, _OFFSET = "kafka_partition", "kafka_offset"
_WITH_PLACE = {
    "transforms": "place",
    "transforms.place.type": "org.apache.kafka.connect.transforms.InsertField$Value",
    "transforms.place.partition.field": _PARTITION,
    "transforms.place.offset.field": _OFFSET,
}
_VISIBLE = f"""
    SELECT number, (SELECT max({_OFFSET}) FROM {NAME} WHERE {_PARTITION} = number)
    FROM generate_series(0, {PARTITIONS - 1}) AS number
"""


def main() -> None:
    """Run the benchmark."""
    arguments = arguments_of(__doc__)
    arguments.add_argument("--rate", type=int, default=2_000)
    arguments.add_argument("--seconds", type=float, default=20.0)
    options = arguments.parse_args()
    with Ground(PARTITIONS) as ground, RegistryStub() as registry:
        programs = fetch_programs(load_settings(), lambda line: progress.print(f"  {line}"))
        place = ConnectGround(programs, ("sink", "apicurio"), ground.places.bootstrap, ground.folder / "sink")
        row_ms = run(ground, place, registry.url, options)
    found = {"rate": options.rate, "seconds": options.seconds, "sink": WINNER.name, "row_ms": row_ms}
    keep("sink-latency", found, options.results)
    show(found, [(f"row {name}, ms", f"{value:,.1f}", "") for name, value in row_ms.items()], options.json)


def run(ground: Ground, place: ConnectGround, registry: str, options: Any) -> dict[str, float]:
    """Warm up, then measure the sink; return percentiles in milliseconds."""
    url = ground.embedded.create_database("sink")
    places = {"HUB_KAFKA_BOOTSTRAP": ground.places.bootstrap, "HUB_KEY_SECRET": ground.places.key_secret}
    warehouse = Warehouse("sink", {**os.environ, **places, "HUB_DATABASE_URL": url}, _target(url))
    properties = {**sink_properties(WINNER, "sink", url, registry), **_WITH_PLACE}
    with ConnectWorker(place, properties, WORKER) as worker:

        def check() -> None:
            if (problem := worker.problem()) is not None:
                raise SystemExit(problem)

        with GroupWatch(ground.places.bootstrap, group_of("sink")) as watch:
            watch.wait_for_start(START_LIMIT_S, check)
        paced(ground, warehouse, Pace("warm", options.rate, WARM_UP_S, 0))
        first = int(options.rate * WARM_UP_S)
        _, row_ms = until_visible(ground, warehouse, Pace("paced", options.rate, options.seconds, first), _VISIBLE)
        check()
    return row_ms


def _target(url: str) -> Engine:
    """Make the race's table with the record's place beside it, and an index by which that is found."""
    engine = open_database(url, "public", "bench")
    table = newest_table(NAME, Column(_PARTITION, Integer), Column(_OFFSET, BigInteger))
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
        connection.execute(CreateIndex(Index(f"{NAME}_place", table.c[_PARTITION], table.c[_OFFSET])))
    return engine


if __name__ == "__main__":
    main()
