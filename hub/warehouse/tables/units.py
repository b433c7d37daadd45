"""Tables of administrative units over time: what every code stands for, who carries on an agency's work, recodes.

``unit_now`` and ``agency_now`` are derived from the units' golden records and nothing else: ``reconcile.unit_steps``
keeps them so. Their spans are half open and cover every day from ``FIRST_DAY`` to ``LAST_DAY``, so that a look-up by
code, the day it was said and the day it is asked for finds exactly one row, or none for a code no unit ever had.
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
"""Units change at midnight here."""

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
"""What a code, said between two days, stands for between two others. ``candidates`` when AMBIGUOUS."""

agency_now = Table(
    "agency_now",
    metadata,
    Column("prefix", Text, nullable=False),
    Column("effective_from", Date, nullable=False),
    Column("effective_until", Date, nullable=False),
    Column("now_prefix", Text, nullable=False),
    PrimaryKeyConstraint("prefix", "effective_from"),
)
"""Which province's agency prefix carries on the work of another between two days."""

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
"""A residence whose unit got another code by a boundary change: no move. ``job`` is the row in ``action``."""


def day_of(moment: ColumnElement[Any]) -> ColumnElement[date]:
    """Return the day of a moment where the units are."""
    return cast(func.timezone(ZONE.key, moment), Date)


def today() -> ColumnElement[date]:
    """Return the day on which the statement's transaction began, where the units are."""
    return day_of(func.now())


def is_unit_of(
    units: FromClause, scheme: ColumnElement[str], code: ColumnElement[str], said: ColumnElement[date]
) -> ColumnElement[bool]:
    """Return whether a row of ``unit_now`` is about a code said on a day; one row for each span of effect."""
    return and_(units.c.scheme == scheme, units.c.code == code, units.c.said_from <= said, units.c.said_until > said)


def is_effective(spans: FromClause, on: ColumnElement[date] | date | None) -> ColumnElement[bool]:
    """Return whether a row's effect is that of a day; None: after every change that is known."""
    if on is None:
        return spans.c.effective_until == LAST_DAY
    # The last day there is belongs to the last span.
    until = or_(spans.c.effective_until > on, spans.c.effective_until == LAST_DAY)
    return and_(spans.c.effective_from <= on, until)


def agency_on(agency: ColumnElement[str], on: ColumnElement[date]) -> ColumnElement[str]:
    """Return the agency that carries on the work of an agency on a day; see ``hub.model.units.agencies``.

    An agency that is no province's, or not known, carries on itself.
    """
    prefix = func.substring(agency, literal(PREFIX_PATTERN, Text))
    spans = agency_now.alias("agency_span")
    following = select(spans.c.now_prefix).where(spans.c.prefix == prefix, is_effective(spans, on)).scalar_subquery()
    return case((following != prefix, following), else_=agency)
