"""What a batch changes about dossiers: moves, deadlines."""

from sqlalchemy import Connection

from hub.reconcile.step import Merge


def step(connection: Connection, merge: Merge) -> None:
    """Bring it in line with what the batch wrote."""
