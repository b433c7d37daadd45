"""Deadlines of dossiers in statements: what ``hub.model.dossier_deadline`` says of one dossier, for many at once.

Each function builds a part of one statement, in the order in which the rules are applied; ``deadlines_reckoned`` puts
them together.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    FromClause,
    Select,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, aggregate_order_by, insert

from hub.model.dossier_deadline import (
    INTERLINKED_DUE_S,
    INTERLINKED_PROCEDURES,
    LATEST_FILING_S,
    PROCEDURE_CHARACTERS,
)
from hub.model.dossier_status import ENDED, PAUSED, Status
from hub.reconcile.dossier_versions import (
    accepted_versions,
    in_order,
    newest_first,
    progress_tables,
    submission_tables,
)
from hub.warehouse.dossier_tables import dossier_deadline
from hub.warehouse.working_time import in_force, moment, next_midnight, placed, second_of_day, with_days

_SAID = (
    "occurred_at",
    "status",
    "procedure_code",
    "received_at",
    "due_at",
    "finished_at",
    "rejected_at",
    "due_history",
)


def deadlines_reckoned(keys: FromClause) -> Insert:
    """Reckon and store the deadlines of some dossiers; those that stay what they are, are not written.

    Args:
        keys: dossiers, column ``key``, each once.
    """
    told, now = _since_last_revoke(keys), in_force()
    summary = _summary(told, now)
    rows = _reckoned(summary, _pauses(told, summary, now), now)
    names = [column.name for column in dossier_deadline.columns]
    storing = insert(dossier_deadline).from_select(names, rows)
    changing = [name for name in names if name != "key"]
    differs = or_(*(dossier_deadline.c[name].is_distinct_from(storing.excluded[name]) for name in changing))
    return storing.on_conflict_do_update(
        index_elements=["key"], set_={name: storing.excluded[name] for name in changing}, where=differs
    )


def deadlines_dropped(keys: FromClause) -> Delete:
    """Drop the deadlines of dossiers whose progress nobody holds any more."""
    record = progress_tables().record
    held = exists().where(record.c.key == dossier_deadline.c.key, record.c.source.is_not(None))
    return delete(dossier_deadline).where(dossier_deadline.c.key == keys.c.key, ~held)


def is_interlinked(code: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a procedure is one of the interlinked ones."""
    return func.left(func.coalesce(code, ""), PROCEDURE_CHARACTERS).in_(INTERLINKED_PROCEDURES)


def _is_one_of(status: ColumnElement[str], statuses: frozenset[Status]) -> ColumnElement[bool]:
    return status.in_(sorted(one.value for one in statuses))


def _since_last_revoke(keys: FromClause) -> FromClause:
    """The holder's versions since it last took its claim back, with ``at``, when each counts, and ``open_after``.

    ``at`` never steps back; ``open_after`` counts the open states from a version on: 0 when handling has ended.
    """
    said = accepted_versions(keys, _SAID, of_holder=True)
    revokes = func.count().filter(said.c.revoked).over(partition_by=said.c.key, order_by=newest_first(said))
    every = select(said, revokes.label("revokes")).subquery("every")
    is_open = ~_is_one_of(every.c.status, ENDED | {Status.UNKNOWN})
    return (
        select(
            every,
            func.max(every.c.occurred_at).over(partition_by=every.c.key, order_by=in_order(every)).label("at"),
            func.count()
            .filter(is_open)
            .over(partition_by=every.c.key, order_by=newest_first(every))
            .label("open_after"),
        )
        .where(every.c.revokes == 0)
        .cte("told")
    )


def _last(value: ColumnElement[Any], told: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    """Aggregate: the value of the newest version that has one."""
    values: Any = func.array_agg(aggregate_order_by(value, *newest_first(told))).filter(value.is_not(None), *conditions)
    return values[1]  # type: ignore[no-any-return]


def _summary(told: FromClause, now: FromClause) -> FromClause:
    """One row per dossier: what its versions say together, whether it is interlinked, when its clock started."""
    ended = told.c.open_after == 0
    whole = (
        select(
            told.c.key,
            func.min(told.c.source).label("source"),
            _last(told.c.procedure_code, told).label("procedure_code"),
            _last(told.c.received_at, told).label("received_at"),
            _last(func.coalesce(told.c.finished_at, told.c.rejected_at), told, ended).label("said_finished_at"),
            func.min(told.c.at).filter(ended, _is_one_of(told.c.status, ENDED)).label("first_ended_at"),
            _last(told.c.due_history, told).label("due_history"),
        )
        .group_by(told.c.key)
        .subquery("whole")
    )
    tables = submission_tables()
    filed, filing = tables.claim.alias("filed"), tables.record.alias("filing")
    stated = _stated(told)
    interlinked = or_(is_interlinked(whole.c.procedure_code), is_interlinked(filed.c.procedure_code))
    is_late = and_(interlinked, second_of_day(whole.c.received_at, now) >= LATEST_FILING_S)
    started = case((is_late, next_midnight(whole.c.received_at, now)), else_=whole.c.received_at)
    finished = func.coalesce(whole.c.said_finished_at, whole.c.first_ended_at)
    return (
        select(
            whole.c.key,
            whole.c.source,
            interlinked.label("interlinked"),
            whole.c.received_at,
            started.label("started_at"),
            case((whole.c.first_ended_at.is_not(None), finished)).label("finished_at"),
            stated.c.stated_due_at,
            func.coalesce(stated.c.stated_at, started).label("counts_from"),
            func.coalesce(stated.c.stated_due_at, case((interlinked, started))).label("due_from"),
            case((stated.c.stated_due_at.is_(None), INTERLINKED_DUE_S), else_=0).label("due_seconds"),
            _extensions(whole.c.due_history, stated.c.seen).label("extensions"),
        )
        .select_from(whole.join(now, true()))
        .outerjoin(stated, stated.c.key == whole.c.key)
        .outerjoin(filing, filing.c.key == whole.c.key)
        .outerjoin(filed, and_(filed.c.key == filing.c.key, filed.c.source == filing.c.source))
        .cte("summary")
    )


def _stated(told: FromClause) -> FromClause:
    """One row per dossier with a due time: the one stated last, when it was stated, those that replaced others."""
    window = func.lag(told.c.due_at).over(partition_by=told.c.key, order_by=in_order(told))
    dues = select(told, window.label("old_due_at")).where(told.c.due_at.is_not(None)).subquery("dues")
    seen = func.jsonb_build_object(
        "old_due_at",
        _as_text(dues.c.old_due_at),
        "new_due_at",
        _as_text(dues.c.due_at),
        "version",
        func.jsonb_build_array(dues.c.source_epoch, dues.c.source_version),
    )
    return (
        select(
            dues.c.key,
            _last(dues.c.due_at, dues).label("stated_due_at"),
            _last(dues.c["at"], dues).label("stated_at"),
            func.jsonb_agg(aggregate_order_by(seen, *in_order(dues)))
            .filter(dues.c.old_due_at.is_not(None))
            .label("seen"),
        )
        .where(dues.c.due_at.is_distinct_from(dues.c.old_due_at))
        .group_by(dues.c.key)
        .subquery("stated")
    )


def _as_text(time: ColumnElement[Any]) -> ColumnElement[str]:
    return func.to_char(func.timezone("UTC", time), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')


def _extensions(due_history: ColumnElement[Any], seen: ColumnElement[Any]) -> ColumnElement[Any]:
    """What the source lists and what its versions show; reasons stay in the claim, they may hold personal data."""
    elements = func.jsonb_array_elements(due_history)
    listed = elements.table_valued("value", with_ordinality="place", name="listed").render_derived()
    change = cast(listed.c.value, JSONB).op("-", return_type=JSONB())("reason")
    stated = select(func.jsonb_agg(aggregate_order_by(change, listed.c.place))).select_from(listed).scalar_subquery()
    told = func.jsonb_build_object(
        "stated",
        func.coalesce(stated, func.jsonb_build_array()),
        "seen",
        func.coalesce(seen, func.jsonb_build_array()),
    )
    return case((or_(stated.is_not(None), seen.is_not(None)), told), else_=null())


def _pauses(told: FromClause, summary: FromClause, now: FromClause) -> FromClause:
    """One row per dossier whose clock stood still: for how long, how much of it puts off the due time, since when."""
    following = func.lead(told.c["at"]).over(partition_by=told.c.key, order_by=in_order(told))
    known = select(told, following.label("until")).where(told.c.status != Status.UNKNOWN.value).subquery("known")
    pauses = (
        select(
            known.c.key,
            known.c.source_epoch,
            known.c.source_version,
            known.c["at"],
            known.c.until,
            func.greatest(known.c["at"], summary.c.started_at).label("from_start"),
            func.greatest(known.c["at"], summary.c.counts_from).label("from_stated"),
            summary.c.due_from,
            summary.c.due_seconds,
        )
        .join_from(known, summary, summary.c.key == known.c.key)
        .where(_is_one_of(known.c.status, PAUSED))
        .subquery("pauses")
    )
    names = ("until", "from_start", "from_stated", "due_from")
    until, start, since, due = (placed(pauses.c[name], f"{name}_day", now) for name in names)
    lengths = (
        select(
            pauses,
            func.greatest(0, until.place - start.place).label("whole"),
            func.greatest(0, until.place - since.place).label("counted"),
            since.place.label("begins"),
            (due.place + pauses.c.due_seconds).label("due"),
        )
        .select_from(with_days(pauses.join(now, true()), until, start, since, due))
        .subquery("lengths")
    )
    return _pauses_summed(lengths)


def _pauses_summed(lengths: FromClause) -> FromClause:
    """A pause counts for the due time when it begins before it: before it as the pauses before have put it off."""
    earlier = func.sum(lengths.c.counted).over(partition_by=lengths.c.key, order_by=in_order(lengths), rows=(None, -1))
    summed = select(lengths, func.coalesce(earlier, 0).label("earlier")).subquery("summed")
    is_over = summed.c.until.is_not(None)
    credit = func.sum(summed.c.counted).filter(is_over, summed.c.begins - summed.c.earlier <= summed.c.due)
    return (
        select(
            summed.c.key,
            func.coalesce(func.sum(summed.c.whole).filter(is_over), 0).label("paused_seconds"),
            func.coalesce(credit, 0).label("credit"),
            func.max(summed.c["at"]).filter(~is_over).label("paused_since"),
        )
        .group_by(summed.c.key)
        .subquery("clock")
    )


def _reckoned(summary: FromClause, clock: FromClause, now: FromClause) -> Select[Any]:
    """Select the rows of ``dossier_deadline``."""
    start, end, due = (
        placed(summary.c[name], f"{name}_day", now) for name in ("started_at", "finished_at", "due_from")
    )
    paused = cast(func.coalesce(clock.c.paused_seconds, 0), BigInteger)
    put_off = cast(summary.c.due_seconds + func.coalesce(clock.c.credit, 0), BigInteger)
    days = with_days(summary.join(now, true()).outerjoin(clock, clock.c.key == summary.c.key), start, end, due)
    places = (
        select(
            summary,
            now.c.version.label("calendar_version"),
            clock.c.paused_since,
            paused.label("paused_seconds"),
            put_off.label("put_off"),
            (due.place + put_off).label("due"),
            end.place.label("end"),
            func.greatest(0, end.place - start.place - paused).label("used"),
        )
        .select_from(days)
        .subquery("places")
    )
    due_at = case((places.c.put_off == 0, places.c.due_from), else_=moment(places.c.due, now, [places]))
    timed = select(places, due_at.label("due_at")).select_from(places.join(now, true())).subquery("timed")
    overdue = case(
        (
            and_(timed.c.finished_at.is_not(None), timed.c.due_at.is_not(None)),
            func.greatest(0, timed.c.end - timed.c.due),
        )
    )
    used = case((and_(timed.c.started_at.is_not(None), timed.c.finished_at.is_not(None)), timed.c.used))
    reckoned: dict[str, ColumnElement[Any]] = {
        "used_seconds": cast(used, BigInteger),
        "on_time": overdue == 0,
        "overdue_seconds": cast(overdue, BigInteger),
    }
    names = [column.name for column in dossier_deadline.columns]
    columns: list[ColumnElement[Any]] = [reckoned[name] if name in reckoned else timed.c[name] for name in names]
    return select(*columns)
