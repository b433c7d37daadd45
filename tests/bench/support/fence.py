"""Move the stored offsets of a batch: what a job that is no merge needs for its batches to have their effect once."""

from sqlalchemy import Connection

from hub.model.errors import ConcurrentUpdateError
from hub.warehouse.batch import Batch
from hub.warehouse.offsets import moves, positions_moved


def advance_positions(connection: Connection, batch: Batch) -> None:
    """Move the offsets, first of all in the batch's transaction.

    Raises:
        ConcurrentUpdateError: another worker holds a partition.
    """
    if connection.execute(positions_moved(), moves(batch.advances)).rowcount != len(batch.advances):
        raise ConcurrentUpdateError("a stored offset was not as expected")
