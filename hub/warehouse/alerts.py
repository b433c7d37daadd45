"""Open and close alerts in the warehouse, where commands and the worker's pages read them.

Each function runs in the caller's transaction, which must not be a batch's: an alert must stay if a batch rolls back.
The log reports once that an alert was opened, and once that it was closed.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.model.alerts import Alert, alert_named
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import alert as table

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Raised:
    """A stored alert: place, opening time, last time, count, closing time (None: open), and the reason in words."""

    name: str
    place: str
    opened_at: datetime
    last_seen_at: datetime
    count: int
    closed_at: datetime | None
    detail: str


def raise_alert(connection: Connection, alert: Alert, place: str, detail: str) -> bool:
    """Open the alert for a place, or record that it was seen again; return whether it was opened now.

    Args:
        connection: in a transaction that is not a batch's.
        alert: which alert.
        place: ``topic/partition``, a topic, or ``hub``.
        detail: what was seen, with coordinates and counts; no personal data.
    """
    opened = connection.execute(
        insert(table)
        .values(name=alert.name, place=place, detail=detail)
        .on_conflict_do_update(
            index_elements=[table.c.name, table.c.place],
            index_where=table.c.closed_at.is_(None),
            set_={"last_seen_at": func.now(), "count": table.c.count + 1, "detail": detail},
        )
        .returning(table.c.count)
    ).scalar_one()
    is_new = int(opened) == 1
    if is_new:
        _log.warning("alert opened: %s at %s: %s", alert.name, place, detail)
    return is_new


def clear_alert(connection: Connection, alert: Alert, but: Collection[str] = ()) -> list[str]:
    """Close the alert everywhere except at the places ``but``; return where it was open."""
    closed = connection.execute(
        update(table)
        .where(table.c.name == alert.name, table.c.closed_at.is_(None), table.c.place.not_in(list(but)))
        .values(closed_at=func.now())
        .returning(table.c.place)
    )
    places = [str(place) for place in closed.scalars()]
    for place in places:
        _log.warning("alert closed: %s at %s", alert.name, place)
    return places


def open_places(connection: Connection, alert: Alert) -> set[str]:
    """Return where the alert is open."""
    found = select(table.c.place).where(table.c.name == alert.name, table.c.closed_at.is_(None))
    return {str(place) for place in connection.execute(found).scalars()}


def read_alerts(connection: Connection, with_closed: bool = False) -> list[Raised]:
    """Return the open alerts, oldest first; ``with_closed``: also the closed ones."""
    wanted = select(
        table.c.name,
        table.c.place,
        table.c.opened_at,
        table.c.last_seen_at,
        table.c.count,
        table.c.closed_at,
        table.c.detail,
    ).order_by(table.c.opened_at)
    if not with_closed:
        wanted = wanted.where(table.c.closed_at.is_(None))
    return [Raised(*row) for row in connection.execute(wanted)]


def open_alerts(engine: Engine, with_closed: bool = False) -> list[Raised]:
    """Return the alerts, read in a separate transaction; raises RetryableError."""
    with translated_errors("reading alerts"), engine.connect() as connection:
        return read_alerts(connection, with_closed)


def alert_as_json(alert: Raised) -> dict[str, Any]:
    """Return an alert with its meaning and the first thing to do."""
    known = alert_named(alert.name)
    return {
        "name": alert.name,
        "place": alert.place,
        "severity": known and known.severity.value,
        "opened_at": alert.opened_at.isoformat(),
        "last_seen_at": alert.last_seen_at.isoformat(),
        "count": alert.count,
        "closed_at": alert.closed_at and alert.closed_at.isoformat(),
        "detail": alert.detail,
        "means": known and known.means,
        "do": known and known.do,
    }
