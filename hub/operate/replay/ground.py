"""What a replay works on: the live warehouse, its shadows, the log, and the sizes of its batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from hub.operate.replay.reading.event_log import Reader
from hub.warehouse.database import open_database


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a replay works.

    Fields:
        live: engine on the live schema.
        database_url: of the same database, for engines on shadows.
        schema: the live one.
        key_secret: of the keyed hash.
        read: the log.
        batch_rows: most records of a batch.
        decode_timeout_s, decode_memory_mb: limits of the decoder's child process.
    """

    live: Engine
    database_url: str = field(repr=False)
    schema: str
    key_secret: str = field(repr=False)
    read: Reader = field(repr=False)
    batch_rows: int = 50_000
    decode_timeout_s: float = 10.0
    decode_memory_mb: int = 2048

    @contextmanager
    def shadow(self, schema: str) -> Iterator[Engine]:
        """Yield an engine on a shadow's schema, and close its connections afterwards.

        Its commits do not wait for the disk. A crash of the server may lose the latest batches together with their
        positions, and then they are read again. The transaction that makes the shadow live waits until all earlier ones
        are on disk.
        """
        engine = open_database(self.database_url, schema, "hub replay")

        @event.listens_for(engine, "connect")
        def configure(connection: psycopg.Connection[tuple[object, ...]], record: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit TO off")
            connection.commit()

        try:
            yield engine
        finally:
            engine.dispose()


def in_live(schema: str) -> dict[str, Any]:
    """Return options with which a statement on a shadow's connection uses the tables of the live schema."""
    return {"schema_translate_map": {None: schema}}
