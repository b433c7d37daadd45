"""Records that two people discarded while they were parked: a replay rejects them too, whatever exists by then.

They are known by their places in ``discarded``, which are kept longer than the audit log's months. If the same event is
sent again, it is at another place, and counts as it did live.
"""

from typing import Any

import polars as pl
from sqlalchemy import Connection, Delete, Select, and_, delete, select

from hub.operate.replay.select import PLACE_SCHEMA
from hub.warehouse.tables.core import log_partition, parked
from hub.warehouse.tables.kinds import in_schema
from hub.warehouse.tables.letters import discarded


def read_discarded(connection: Connection) -> pl.DataFrame:
    """Return the places (log, log_offset) of all discarded records."""
    return pl.DataFrame(connection.execute(_places()).all(), schema=PLACE_SCHEMA, orient="row")


def drop_discarded(connection: Connection, live: str, shadow: str) -> None:
    """Remove discarded records from the parked ones of a shadow: there they were parked before they were discarded."""
    connection.execute(_rows_that_wait(live, shadow))


def _places() -> Select[Any]:
    here = and_(discarded.c.topic == log_partition.c.topic, discarded.c.partition == log_partition.c.partition)
    return select(log_partition.c.id, discarded.c.log_offset).join_from(discarded, log_partition, here)


def _rows_that_wait(live: str, shadow: str) -> Delete:
    mine, theirs, logs = in_schema(parked, shadow), in_schema(discarded, live), in_schema(log_partition, live)
    return delete(mine).where(
        mine.c.log == logs.c.id,
        mine.c.log_offset == theirs.c.log_offset,
        theirs.c.topic == logs.c.topic,
        theirs.c.partition == logs.c.partition,
    )
