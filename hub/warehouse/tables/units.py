"""Tables of administrative units over time: the meaning of every code, agencies and their successors, recodes.

``unit_now`` and ``agency_now`` are derived only from the units' golden records; ``hub.reconcile.rules.units`` updates
them. Their spans are half open and cover every day from ``FIRST_DAY`` to ``LAST_DAY``. So a look-up by code, the day it
was said and the day that is asked for finds exactly one row, or none for a code that no unit ever had.
"""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Date,
    FromClause,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.model.units.agencies import PREFIX_PATTERN
from hub.model.units.graph import LAST_DAY
from hub.warehouse.tables.core import metadata

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
"""The time zone at whose midnight units change."""

unit_now = Table(
    "unit_now",
    metadata,
    Column("scheme", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("said_from", Date, nullable=False),
    Column("said_until", Date, nullable=False),
    Column("effective_from", Date, nullable=False),
    Column("effective_until", Date, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("now_scheme", Text),
    Column("now_code", Text),
    Column("candidates", JSONB),
    PrimaryKeyConstraint("scheme", "code", "said_from", "effective_from"),
)
"""The meaning, between two days, of a code that was said between two other days. ``candidates`` if AMBIGUOUS."""

agency_now = Table(
    "agency_now",
    metadata,
    Column("prefix", Text, nullable=False),
    Column("effective_from", Date, nullable=False),
    Column("effective_until", Date, nullable=False),
    Column("now_prefix", Text, nullable=False),
    PrimaryKeyConstraint("prefix", "effective_from"),
)
"""The agency prefix of the province that carries on another's work between two days."""

recode = Table(
    "recode",
    metadata,
    Column("key", Uuid, nullable=False),
    Column("part", Text, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("from_scheme", Text, nullable=False),
    Column("from_code", Text, nullable=False),
    Column("to_scheme", Text, nullable=False),
    Column("to_code", Text, nullable=False),
    Column("decree", Text),
    Column("effective", Date, nullable=False),
    Column("job", BigInteger, nullable=False),
    PrimaryKeyConstraint("key", "part", "source", "effective", "from_scheme", "from_code"),
)
"""A residence whose unit got another code by a boundary change; nobody moved. ``job`` is the row in ``action``."""


def day_of(moment: ColumnElement[Any]) -> ColumnElement[date]:
    """Return the local day of a moment, in the units' time zone."""
    return cast(func.timezone(ZONE.key, moment), Date)


def today() -> ColumnElement[date]:
    """Return the local day on which the statement's transaction began, in the units' time zone."""
    return day_of(func.now())


def is_unit_of(
    units: FromClause, scheme: ColumnElement[str], code: ColumnElement[str], said: ColumnElement[date]
) -> ColumnElement[bool]:
    """Return whether a row of ``unit_now`` is about a code said on a day; there is one row per span of effect."""
    return and_(units.c.scheme == scheme, units.c.code == code, units.c.said_from <= said, units.c.said_until > said)


def is_effective(spans: FromClause, on: ColumnElement[date] | date | None) -> ColumnElement[bool]:
    """Return whether a row is in effect on a day; None: after every known change."""
    if on is None:
        return spans.c.effective_until == LAST_DAY
    # The last day belongs to the last span.
    until = or_(spans.c.effective_until > on, spans.c.effective_until == LAST_DAY)
    return and_(spans.c.effective_from <= on, until)


def agency_on(agency: ColumnElement[str], on: ColumnElement[date]) -> ColumnElement[str]:
    """Return the agency that carries on the work of an agency on a day; see ``hub.model.units.agencies``.

    An agency that is unknown, or is not a province's, carries on its own work.
    """
    prefix = func.substring(agency, literal(PREFIX_PATTERN, Text))
    spans = agency_now.alias("agency_span")
    following = select(spans.c.now_prefix).where(spans.c.prefix == prefix, is_effective(spans, on)).scalar_subquery()
    return case((following != prefix, following), else_=agency)
