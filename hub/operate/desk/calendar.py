"""The calendar of working days: which one is in force, which deadlines it gave, and how to apply a new one."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, insert, select

from hub.model.dossiers.working_time import Calendar
from hub.reconcile.rules.dossiers.steps import is_by_another_calendar, reckon_open
from hub.reconcile.shared.republish import job_place
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import action
from hub.warehouse.tables.dossiers import calendar, dossier_deadline
from hub.warehouse.working_time import ensure_calendar

ACTION = "calendar.reckon"
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Reckoned:
    """How many deadlines of open and of ended dossiers a calendar has computed."""

    version: str
    is_in_force: bool
    open: int
    ended: int


def calendars_used(connection: Connection) -> list[Reckoned]:
    """Return every calendar that the warehouse knows, by version."""
    ended = func.count(dossier_deadline.c.key).filter(dossier_deadline.c.finished_at.is_not(None))
    open_ = func.count(dossier_deadline.c.key).filter(dossier_deadline.c.finished_at.is_(None))
    rows = connection.execute(
        select(calendar.c.version, calendar.c.in_force, open_, ended)
        .outerjoin_from(calendar, dossier_deadline, dossier_deadline.c.calendar_version == calendar.c.version)
        .group_by(calendar.c.version, calendar.c.in_force)
        .order_by(calendar.c.version)
    )
    return [Reckoned(*row) for row in rows]


def plan_reckoning(engine: Engine, days: Calendar) -> int:
    """Return for how many open dossiers a calendar would compute new deadlines; changes nothing.

    Raises:
        ConfigError: different content is stored under the calendar's version.
    """
    with translated_errors("planning the reckoning"), engine.connect() as connection:
        transaction = connection.begin()
        try:
            ensure_calendar(connection, days)
            return connection.execute(
                select(func.count()).select_from(dossier_deadline).where(is_by_another_calendar())
            ).scalar_one()
        finally:
            transaction.rollback()


def reckon(engine: Engine, days: Calendar, actor: str, purpose: str) -> int:
    """Put a calendar in force and compute open dossiers' deadlines, in bounded transactions; return how many.

    ``action`` records who did it and why. If it is interrupted, run it again to continue.

    Raises:
        ConfigError: different content is stored under the calendar's version.
    """
    done = 0
    with translated_errors("reckoning deadlines"):
        with engine.begin() as connection:
            ensure_calendar(connection, days)
            detail = {"version": days.version}
            connection.execute(insert(action).values(actor=actor, action=ACTION, purpose=purpose, detail=detail))
        while True:
            with engine.begin() as connection:
                count = reckon_open(connection, job_place(connection), _AT_ONCE)
            if not count:
                return done
            done += count
