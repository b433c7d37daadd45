"""Deadlines of dossiers in SQL: the rules of ``hub.model.dossiers.deadline``, for many dossiers at once.

Each function builds a part of one statement, in the order in which the rules apply; ``deadlines_reckoned`` combines
them.
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
from sqlalchemy.sql.elements import Grouping

from hub.model.dossiers.deadline import (
    INTERLINKED_DUE_S,
    INTERLINKED_PROCEDURES,
    LATEST_FILING_S,
    PROCEDURE_CHARACTERS,
)
from hub.model.dossiers.status import ENDED, PAUSED, Status
from hub.reconcile.rules.dossiers.versions import (
    accepted_versions,
    in_order,
    newest_first,
    progress_tables,
    submission_tables,
)
from hub.warehouse.tables.dossiers import dossier_deadline
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
    """Compute and store the deadlines of some dossiers; unchanged ones are not written.

    Args:
        keys: dossiers, column ``key``, each once.
    """
    now = in_force()
    pauses = _pauses(_summary(_since_last_revoke(keys)), now)
    rows = _reckoned(_pauses_summed(pauses, now), now)
    names = [column.name for column in dossier_deadline.columns]
    storing = insert(dossier_deadline).from_select(names, rows)
    changing = [name for name in names if name != "key"]
    differs = or_(*(dossier_deadline.c[name].is_distinct_from(storing.excluded[name]) for name in changing))
    return storing.on_conflict_do_update(
        index_elements=["key"], set_={name: storing.excluded[name] for name in changing}, where=differs
    )


def deadlines_dropped(keys: FromClause) -> Delete:
    """Delete the deadlines of dossiers whose progress no source holds any more."""
    record = progress_tables().record
    held = exists().where(record.c.key == dossier_deadline.c.key, record.c.source.is_not(None))
    return delete(dossier_deadline).where(dossier_deadline.c.key == keys.c.key, ~held)


def is_interlinked(code: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a procedure is an interlinked one."""
    return func.left(func.coalesce(code, ""), PROCEDURE_CHARACTERS).in_(INTERLINKED_PROCEDURES)


def _is_one_of(status: ColumnElement[str], statuses: frozenset[Status]) -> ColumnElement[bool]:
    return status.in_(sorted(one.value for one in statuses))


def _of_filing(keys: FromClause) -> FromClause:
    """The dossiers, and whether they were filed for an interlinked procedure."""
    tables = submission_tables()
    filed, held = tables.claim.alias("filed"), tables.record.alias("filing")
    return (
        select(keys.c.key, is_interlinked(filed.c.procedure_code).label("filed_interlinked"))
        .select_from(keys.outerjoin(held, held.c.key == keys.c.key))
        .outerjoin(filed, and_(filed.c.key == held.c.key, filed.c.source == held.c.source))
        .cte("filed_dossiers")
    )


def _since_last_revoke(keys: FromClause) -> FromClause:
    """The holder's versions since it last withdrew its claim, with ``at``, when each counts, and ``open_after``.

    ``at`` never decreases. ``open_after`` counts the open states from a version on; it is 0 if handling has ended.
    """
    dossiers = _of_filing(keys)
    said = accepted_versions(dossiers, _SAID, of_holder=True, beside=[dossiers.c.filed_interlinked])
    revokes = func.count().filter(said.c.revoked).over(partition_by=said.c.key, order_by=newest_first(said))
    every = select(*said.c, revokes.label("revokes")).subquery("every")
    is_open = ~_is_one_of(every.c.status, ENDED | {Status.UNKNOWN})
    stated: dict[str, Any] = {"partition_by": [every.c.key, every.c.due_at.is_(None)], "order_by": in_order(every)}
    return (
        select(
            *every.c,
            func.max(every.c.occurred_at).over(partition_by=every.c.key, order_by=in_order(every)).label("at"),
            func.count()
            .filter(is_open)
            .over(partition_by=every.c.key, order_by=newest_first(every))
            .label("open_after"),
            func.lag(every.c.due_at).over(**stated).label("old_due_at"),
        )
        .where(every.c.revokes == 0)
        .subquery("told")
    )


def _summary(told: FromClause) -> FromClause:
    """Every version, with what all versions of its dossier say together, and the time at which the next one begins."""
    whole: dict[str, Any] = {"partition_by": told.c.key, "order_by": newest_first(told), "rows": (None, None)}

    def last(value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
        """Return the value of the newest version that has one."""
        values: Any = func.array_agg(value).filter(value.is_not(None), *conditions).over(**whole)
        return Grouping(values)[1]

    ended = told.c.open_after == 0
    is_stated = and_(told.c.due_at.is_not(None), told.c.due_at.is_distinct_from(told.c.old_due_at))
    first_ended = func.min(told.c["at"]).filter(ended, _is_one_of(told.c.status, ENDED)).over(**whole)
    said_finished = last(func.coalesce(told.c.finished_at, told.c.rejected_at), ended)
    is_known = [told.c.key, told.c.status == Status.UNKNOWN.value]
    seen = func.jsonb_agg(_change(told)).filter(is_stated, told.c.old_due_at.is_not(None))
    return select(
        told.c.key,
        told.c.source,
        told.c.source_epoch,
        told.c.source_version,
        _is_one_of(told.c.status, PAUSED).label("is_pause"),
        (func.row_number().over(partition_by=told.c.key, order_by=newest_first(told)) == 1).label("is_newest"),
        told.c["at"],
        func.lead(told.c["at"]).over(partition_by=is_known, order_by=in_order(told)).label("until"),
        or_(told.c.filed_interlinked, is_interlinked(last(told.c.procedure_code))).label("interlinked"),
        last(told.c.received_at).label("received_at"),
        case((first_ended.is_not(None), func.coalesce(said_finished, first_ended))).label("finished_at"),
        last(told.c.due_at, is_stated).label("stated_due_at"),
        last(told.c["at"], is_stated).label("stated_at"),
        last(told.c.due_history).label("due_history"),
        seen.over(partition_by=told.c.key, order_by=in_order(told), rows=(None, None)).label("seen"),
    ).subquery("summary")


def _change(told: FromClause) -> ColumnElement[Any]:
    return func.jsonb_build_object(
        "old_due_at",
        _as_text(told.c.old_due_at),
        "new_due_at",
        _as_text(told.c.due_at),
        "version",
        func.jsonb_build_array(told.c.source_epoch, told.c.source_version),
    )


def _as_text(time: ColumnElement[Any]) -> ColumnElement[str]:
    return func.to_char(func.timezone("UTC", time), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')


def _pauses(summary: FromClause, now: FromClause) -> FromClause:
    """The pauses, and the newest version of each dossier, with the clock's start and what the due time is from.

    ``counts_from``: the stated due time already includes the pauses before it.
    """
    is_late = and_(summary.c.interlinked, second_of_day(summary.c.received_at, now) >= LATEST_FILING_S)
    started = case((is_late, next_midnight(summary.c.received_at, now)), else_=summary.c.received_at)
    clocks = (
        select(*summary.c, started.label("started_at"))
        .select_from(summary.join(now, true()))
        .where(or_(summary.c.is_pause, summary.c.is_newest))
        .subquery("clocks")
    )
    by_rule = case((clocks.c.interlinked, clocks.c.started_at))
    from_stated = func.greatest(clocks.c["at"], func.coalesce(clocks.c.stated_at, clocks.c.started_at))
    return select(
        *clocks.c,
        case((clocks.c.is_pause, clocks.c.until)).label("over_at"),
        case((clocks.c.is_pause, func.greatest(clocks.c["at"], clocks.c.started_at))).label("from_start"),
        case((clocks.c.is_pause, from_stated)).label("from_stated"),
        func.coalesce(clocks.c.stated_due_at, by_rule).label("due_from"),
        case((clocks.c.stated_due_at.is_(None), INTERLINKED_DUE_S), else_=0).label("due_seconds"),
    ).subquery("pauses")


def _pauses_summed(pauses: FromClause, now: FromClause) -> FromClause:
    """One row per dossier: how long its clock was paused, and by how much of that the due time moves.

    A pause moves the due time if it begins before the due time as moved by earlier pauses.
    """
    names = ("over_at", "from_start", "from_stated", "due_from")
    over, start, since, due = (placed(pauses.c[name], f"{name}_day", now) for name in names)
    lengths = (
        select(
            *pauses.c,
            func.greatest(0, over.place - start.place).label("whole"),
            func.greatest(0, over.place - since.place).label("counted"),
            since.place.label("begins"),
            due.place.label("due_place"),
        )
        .select_from(with_days(pauses.join(now, true()), over, start, since, due))
        .subquery("lengths")
    )
    before = func.sum(lengths.c.counted).over(partition_by=lengths.c.key, order_by=in_order(lengths), rows=(None, -1))
    summed = select(*lengths.c, func.coalesce(before, 0).label("before")).subquery("summed")
    is_counted = summed.c.begins - summed.c.before <= summed.c.due_place + summed.c.due_seconds
    is_over = summed.c.over_at.is_not(None)

    def of_dossier(value: Any, *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
        return value.filter(*conditions).over(partition_by=summed.c.key)  # type: ignore[no-any-return]

    clock = select(
        *summed.c,
        func.coalesce(of_dossier(func.sum(summed.c.whole), is_over), 0).label("paused_seconds"),
        func.coalesce(of_dossier(func.sum(summed.c.counted), is_over, is_counted), 0).label("credit"),
        of_dossier(func.max(summed.c["at"]), summed.c.is_pause, ~is_over).label("paused_since"),
    ).subquery("every_clock")
    return select(*clock.c).where(clock.c.is_newest).subquery("clock")


def _reckoned(clock: FromClause, now: FromClause) -> Select[Any]:
    """Select the rows of ``dossier_deadline``."""
    start, end = placed(clock.c.started_at, "start_day", now), placed(clock.c.finished_at, "end_day", now)
    put_off = cast(clock.c.due_seconds + clock.c.credit, BigInteger)
    places = (
        select(
            *clock.c,
            now.c.version.label("calendar_version"),
            put_off.label("put_off"),
            (clock.c.due_place + put_off).label("due"),
            end.place.label("end"),
            func.greatest(0, end.place - start.place - clock.c.paused_seconds).label("used"),
        )
        .select_from(with_days(clock.join(now, true()), start, end))
        .subquery("places")
    )
    due_at = case((places.c.put_off == 0, places.c.due_from), else_=moment(places.c.due, now, [places]))
    timed = select(*places.c, due_at.label("due_at")).select_from(places.join(now, true())).subquery("timed")
    has_ended, is_due = timed.c.finished_at.is_not(None), timed.c.due_at.is_not(None)
    overdue = case((and_(has_ended, is_due), func.greatest(0, timed.c.end - timed.c.due)))
    reckoned: dict[str, ColumnElement[Any]] = {
        "paused_seconds": cast(timed.c.paused_seconds, BigInteger),
        "used_seconds": cast(case((and_(timed.c.started_at.is_not(None), has_ended), timed.c.used)), BigInteger),
        "on_time": overdue == 0,
        "overdue_seconds": cast(overdue, BigInteger),
        "extensions": _extensions(timed.c.due_history, timed.c.seen),
    }
    names = [column.name for column in dossier_deadline.columns]
    columns: list[ColumnElement[Any]] = [reckoned[name] if name in reckoned else timed.c[name] for name in names]
    return select(*columns)


def _extensions(due_history: ColumnElement[Any], seen: ColumnElement[Any]) -> ColumnElement[Any]:
    """What the source lists and what its versions show. Reasons are left out: they may hold personal data."""
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
    is_listed = func.jsonb_array_length(due_history) > 0
    return case((or_(is_listed, seen.is_not(None)), told), else_=null())
