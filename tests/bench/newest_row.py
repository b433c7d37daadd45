"""The hub asked for only what the sink does: the newest row of each person, nothing else.

Built from the hub's own parts: its intake with two lanes (polls and decoding overlap the database's work, partitions
share two connections), its guarded decoder, its COPY, its offsets in the same transaction as the rows. So a repeated
or late event changes nothing here either, which the sink does not promise.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from sqlalchemy import Column, Connection, Engine, Insert, MetaData, Table, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import CreateTable

from hub.config import load_settings
from hub.embedded.locate import endpoints
from hub.intake.broker.log import IntakeOptions
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.intake import Intake
from hub.intake.prepare import Polled
from hub.intake.warehouse_port import Store
from hub.topology import subject_of
from hub.warehouse.batch import Advance, Batch
from hub.warehouse.copy import EncodedRows, copy_encoded, encode_rows
from hub.warehouse.database import open_database
from hub.warehouse.offsets import LogFound, Position, placed
from tests.bench.peers.target import KEY, newest_table
from tests.bench.support.events import TOPIC
from tests.bench.support.fence import advance_positions

LANES = 2
VERSION = ("source_epoch", "source_version")
CITIZEN = newest_table()
STAGE = Table(
    "newest_stage",
    MetaData(),
    *(Column(column.name, column.type) for column in CITIZEN.columns),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)


@dataclass(frozen=True, slots=True)
class NewestBatch(Batch):
    """A batch of which only each key's newest event is kept, encoded for the COPY."""

    rows: EncodedRows = field(default_factory=lambda: EncodedRows((), ()))


class NewestOnly:
    """Stands where the preparer stands: decodes, and keeps each key's newest event."""

    def __init__(self, decoder: GuardedDecoder) -> None:
        self._decoder = decoder

    def prepare(self, polled: Sequence[Polled]) -> Batch:
        """Decode and thin out."""
        values = [value for part in polled for value in part.values]
        frame = self._decoder.decode(subject_of(polled[0].topic), values).frame
        advances = tuple(
            Advance(part.log, part.topic, part.partition, part.expected, part.offsets[-1] + 1, len(part.offsets))
            for part in polled
        )
        return NewestBatch(advances, (), rows=encode_rows(STAGE, newest(frame)))

    prepare_again = prepare


def newest(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep each key's newest event, in key order: neighbours in the index are inserted together."""
    kept = frame.sort(KEY, *VERSION).unique(KEY, keep="last", maintain_order=True)
    return kept.select(
        pl.col(column.name).cast(pl.Int64) if isinstance(kept.schema[column.name], pl.Datetime) else pl.col(column.name)
        for column in CITIZEN.columns
    )


def rows_newer_than_stored(filled: Sequence[str]) -> Insert:
    """Build the upsert of the staged rows: a row is replaced, whole, by a newer one and by nothing else."""
    rows = insert(CITIZEN).from_select(list(filled), select(*(STAGE.c[name] for name in filled)))
    given = set(filled)
    return rows.on_conflict_do_update(
        index_elements=[CITIZEN.c[KEY]],
        set_={c.name: rows.excluded[c.name] if c.name in given else None for c in CITIZEN.c if c.name != KEY},
        where=tuple_(*(CITIZEN.c[name] for name in VERSION)) < tuple_(*(rows.excluded[name] for name in VERSION)),
    )


def commit(engine: Engine, batch: Batch) -> None:
    """Make a batch durable: its rows and its offsets in one transaction."""
    assert isinstance(batch, NewestBatch)
    with engine.connect() as connection:
        _ensure_stage(connection)
        with connection.begin():
            advance_positions(connection, batch)
            copy_encoded(connection, STAGE, batch.rows)
            connection.execute(rows_newer_than_stored(batch.rows.columns))


def _ensure_stage(connection: Connection) -> None:
    if not connection.info.get("newest_stage"):
        with connection.begin():
            STAGE.create(connection, checkfirst=False)
        connection.info["newest_stage"] = True


def main() -> None:
    """Run until ended."""
    logging.basicConfig(level=logging.INFO)
    settings = load_settings()
    places = endpoints(settings)
    engine = open_database(places.database_url, settings.database_schema, "newest row")
    with engine.begin() as connection:
        connection.execute(CreateTable(CITIZEN))

    def place(found: Mapping[tuple[str, int], LogFound]) -> Mapping[tuple[str, int], Position]:
        with engine.begin() as connection:
            return placed(connection, found)

    with GuardedDecoder(settings.decode_timeout_s, settings.decode_memory_mb) as decoder:
        options = IntakeOptions(
            bootstrap=places.bootstrap,
            group=settings.consumer_group,
            topics=(TOPIC,),
            batch_rows=settings.batch_rows,
            poll_ms=settings.poll_ms,
            schema_wait_s=0.0,
            lanes=LANES,
        )
        store = Store(place, lambda batch: commit(engine, batch), lambda most, thorough: [])
        intake = Intake(options, NewestOnly(decoder), store)  # type: ignore[arg-type]
        asyncio.run(intake.run())


if __name__ == "__main__":
    main()
