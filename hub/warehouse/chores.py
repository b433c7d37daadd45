"""Alerts about workers' chores that a bug makes fail; each is open until the chore works again or its worker ends."""

from typing import Any

from sqlalchemy import Connection, Engine

from hub.model.alerts import CHORE_FAILS
from hub.warehouse.alerts import clear_alert, open_places, raise_alert
from hub.warehouse.database import translated_errors


class ChoreStore:
    """The stored state of one worker's chores: each call is a separate transaction, and blocks."""

    def __init__(self, engine: Engine, worker: str) -> None:
        self._engine = engine
        self._worker = worker

    def fails(self, chore: str, failure: Any) -> None:
        """Open the chore's alert, or record that it failed again; raises RetryableError.

        ``failure``: a hub.intake.chore_runs.Failure; its text names the bug and since when it occurs, without values.
        """
        with translated_errors("noting a chore that fails"), self._engine.begin() as connection:
            raise_alert(connection, CHORE_FAILS, self._place(chore), str(failure))

    def works(self, chore: str) -> None:
        """Close the chore's alert; raises RetryableError."""
        with translated_errors("noting a chore that works again"), self._engine.begin() as connection:
            others = open_places(connection, CHORE_FAILS) - {self._place(chore)}
            clear_alert(connection, CHORE_FAILS, but=others)

    def _place(self, chore: str) -> str:
        return f"{self._worker}/{chore}"


def settle_chore_alerts(connection: Connection, living: set[str]) -> None:
    """Close the alerts of workers that have ended: another worker now runs their chores.

    ``living``: the names of workers that have not ended in order.
    """
    places = open_places(connection, CHORE_FAILS)
    kept = {place for place in places if place.partition("/")[0] in living}
    if kept != places:
        clear_alert(connection, CHORE_FAILS, but=kept)
