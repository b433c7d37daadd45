"""The limit the main job is measured beside: consume, decode, COPY into a staging table, move the offsets."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Column, MetaData, Table
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
from hub.warehouse.copy import EncodedRows, columns_of, copy_encoded, encode_rows
from hub.warehouse.database import open_database
from hub.warehouse.offsets import LogFound, Position, placed
from hub.warehouse.tables.entities import aspect_tables
from tests.bench.support.events import SUBJECT, TOPIC
from tests.bench.support.fence import advance_positions

PLAIN = Table(
    "plain_stage", MetaData(), *(Column(column.name, column.type) for column in aspect_tables(SUBJECT).stage.c)
)


@dataclass(frozen=True, slots=True)
class DecodedBatch(Batch):
    """A batch that is only to be copied."""

    rows: EncodedRows = field(default_factory=lambda: EncodedRows((), ()))


class DecodeOnly:
    """Stands where the preparer stands: decodes, and encodes for the COPY."""

    def __init__(self, decoder: GuardedDecoder) -> None:
        self._decoder = decoder

    def prepare(self, polled: Sequence[Polled]) -> Batch:
        """Check nothing."""
        values = [value for part in polled for value in part.values]
        frame = self._decoder.decode(subject_of(polled[0].topic), values).frame
        advances = tuple(
            Advance(part.log, part.topic, part.partition, part.expected, part.offsets[-1] + 1, len(part.offsets))
            for part in polled
        )
        return DecodedBatch(advances, (), rows=encode_rows(PLAIN, frame.select(columns_of(PLAIN, frame.columns))))

    prepare_again = prepare


def main() -> None:
    """Run until ended."""
    logging.basicConfig(level=logging.INFO)
    settings = load_settings()
    places = endpoints(settings)
    engine = open_database(places.database_url, settings.database_schema, "copy limit")
    with engine.begin() as connection:
        connection.execute(CreateTable(PLAIN))

    def place(found: Mapping[tuple[str, int], LogFound]) -> Mapping[tuple[str, int], Position]:
        with engine.begin() as connection:
            return placed(connection, found)

    def commit(batch: Batch) -> None:
        assert isinstance(batch, DecodedBatch)
        with engine.begin() as connection:
            advance_positions(connection, batch)
            copy_encoded(connection, PLAIN, batch.rows)

    with GuardedDecoder(settings.decode_timeout_s, settings.decode_memory_mb) as decoder:
        options = IntakeOptions(
            places.bootstrap, settings.consumer_group, (TOPIC,), settings.batch_rows, settings.poll_ms, 0.0
        )
        intake = Intake(options, DecodeOnly(decoder), Store(place, commit, lambda most, thorough: []))  # type: ignore[arg-type]
        asyncio.run(intake.run())


if __name__ == "__main__":
    main()
