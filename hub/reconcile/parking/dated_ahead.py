"""Events dated far ahead, by a wrong clock. If one became the newest claim, all events until its time would be stale.

They are parked for an officer, each alone: later events of the key continue, so a corrected one becomes the record. A
question names the version (``TIME_IN_FUTURE``). To take it admits the event with its time; to discard it needs two
people. An event counts as dated ahead if it occurred, or its version (a time in micro- or milliseconds) is, later than
the limit after it was published, or after now if the publisher's clock is ahead too.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    SmallInteger,
    Text,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.model.alerts import DATED_AHEAD
from hub.model.decisions import ReviewKind
from hub.model.entities import SUBJECTS
from hub.reconcile.shared.questions import question, reviews_of
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.tables.core import parked, review

AHEAD = "ahead"
"""Column of checked rows: whether a row is dated ahead."""

TIME_IN_FUTURE = ReviewKind.TIME_IN_FUTURE.value
OFFICER = "officer:"
"""Prefix of ``waits_for`` for records that no reference will release."""

WAITS = f"{OFFICER}{TIME_IN_FUTURE}:"
"""Prefix of ``waits_for``; the version follows."""

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2400, 1, 1, tzinfo=UTC)


def is_ahead(limit: timedelta, now: datetime) -> pl.Expr:
    """Return ``ahead``; needs ``occurred_at``, ``recorded_at`` and ``source_version``."""
    latest = pl.min_horizontal(pl.col("recorded_at"), pl.lit(now)) + pl.lit(limit)
    version = pl.col("source_version")
    by_unit = [
        version.is_between(_count(_FIRST, unit), _count(_LAST, unit)) & (version > latest.dt.epoch(unit))
        for unit in ("us", "ms")
    ]
    return pl.any_horizontal(pl.col("occurred_at") > latest, *by_unit).alias(AHEAD)


def _count(moment: datetime, unit: str) -> int:
    return int(moment.timestamp()) * (1_000_000 if unit == "us" else 1_000)


def rows_ahead(frame: pl.DataFrame, let_in: frozenset[tuple[int, int]]) -> pl.DataFrame:
    """Return the rows that are dated ahead and that no officer admitted, with what they wait for."""
    if AHEAD not in frame.columns or not frame[AHEAD].any():
        return frame.clear()
    found = frame.filter(AHEAD)
    if let_in:
        places = pl.DataFrame(list(let_in), schema={"log": pl.Int16, "log_offset": pl.Int64}, orient="row")
        found = found.join(places, on=["log", "log_offset"], how="anti", maintain_order="left")
    return found.with_columns(waits_for=pl.lit(WAITS) + pl.col("source_version").cast(pl.String))


def waits_for_officer(waits_for: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a record waits only for an officer; no other record of its key waits behind it."""
    return func.coalesce(waits_for.startswith(OFFICER), False)


def ask_about(connection: Connection, subject: str, held: pl.DataFrame) -> None:
    """Ask an officer about records that were parked because they are dated ahead."""
    one = held.select("key", "source", "source_version").unique()
    connection.execute(
        _questions(subject),
        {
            "keys": [key.hex() for key in one["key"]],
            "sources": one["source"].to_list(),
            "versions": one["source_version"].to_list(),
        },
    )


def _questions(subject: str) -> Insert:
    entity, aspect = SUBJECTS[subject]
    given = func.unnest(
        bindparam("keys", type_=ARRAY(Text)),
        bindparam("sources", type_=ARRAY(SmallInteger)),
        bindparam("versions", type_=ARRAY(BigInteger)),
    )
    asked = given.table_valued("key", "source", "version", name="asked").render_derived()
    about, detail = (
        (cast(asked.c.key, review.c.key.type), asked.c.source),
        func.jsonb_build_object("version", asked.c.version),
    )
    rows = question(TIME_IN_FUTURE, f"{entity.name}.{aspect.name}", about, detail, field=cast(asked.c.version, Text))
    return reviews_of(rows, keeps_open_ones=True)


def settle_alert(connection: Connection) -> None:
    """Open the alert while records that are dated ahead wait; close it if none does. Not in a batch's transaction."""
    waiting = select(func.count()).where(review.c.kind == TIME_IN_FUTURE, review.c.closed_at.is_(None))
    count = int(connection.execute(waiting).scalar_one())
    if count:
        raise_alert(connection, DATED_AHEAD, "hub", f"{count:,} versions that are dated ahead wait for an officer")
    else:
        clear_alert(connection, DATED_AHEAD)


def still_asks() -> ColumnElement[bool]:
    """Return whether the record that a review of this kind is about is still parked."""
    here = select(literal(1)).where(parked.c.key == review.c.key, parked.c.source == review.c.source)
    return here.where(parked.c.waits_for == func.concat(WAITS, review.c.field)).exists()


def is_decided_version(field: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a parked record has the version that a decision names."""
    return parked.c.waits_for == func.concat(WAITS, field)
