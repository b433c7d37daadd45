"""Reviews of dossiers whose status moved backward without a correction that explains it: BACKWARD_STATUS.

There is one review per dossier and source, with the newest unexplained move (``from``, ``to``, ``versions``) and those
before it (``earlier``). The reviews are computed from all accepted versions of the dossiers that a batch touched, by
the rule of ``hub.model.dossiers.status``. So a late version opens or closes a review as if it had come in time (I4).
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, aggregate_order_by, insert

from hub.model.dossiers.status import BACKWARD, BLANKS, Status
from hub.model.envelope import Operation
from hub.model.flags import Flag
from hub.reconcile.rules.dossiers.versions import accepted_versions, in_order, newest_first, progress_tables
from hub.reconcile.shared.questions import question, reviews_of
from hub.warehouse.tables.core import late_flag, review

BACKWARD_STATUS = "BACKWARD_STATUS"
FIELD = "status"


def _explained(said: FromClause) -> Any:
    """Whether a version declares itself a correction and gives a reason."""
    reason = func.btrim(func.coalesce(said.c.status_reason, ""), BLANKS)
    return and_(said.c.operation == Operation.CORRECT.value, reason != "")


def _moves(keys: FromClause) -> FromClause:
    """Every version with the known status before it, and whether it or a later one explains what came before."""
    said = accepted_versions(keys, ("status", "operation", "status_reason"), of_holder=False)
    one = [said.c.key, said.c.source]
    settles = cast(or_(said.c.revoked, _explained(said)), Boolean)
    settled = func.bool_or(settles).over(partition_by=one, order_by=newest_first(said)).label("settled")
    judged = select(said, settled).subquery("judged")
    is_known = or_(judged.c.revoked, judged.c.status != Status.UNKNOWN.value)
    known = select(*judged.c).where(is_known).subquery("known")

    def before(value: ColumnElement[Any], name: str) -> ColumnElement[Any]:
        return func.lag(value).over(partition_by=[known.c.key, known.c.source], order_by=in_order(known)).label(name)

    return select(
        *known.c,
        before(case((~known.c.revoked, known.c.status)), "old_status"),
        before(known.c.source_epoch, "old_epoch"),
        before(known.c.source_version, "old_version"),
    ).subquery("moved")


def unexplained_moves(keys: FromClause) -> Select[Any]:
    """Select the versions that moved backward and that nothing has explained since.

    Args:
        keys: dossiers, column ``key``, each once.
    """
    moved = _moves(keys)
    pairs = [tuple_(literal(old.value, Text), literal(new.value, Text)) for old, new in BACKWARD]
    return select(*moved.c).where(~moved.c.settled, tuple_(moved.c.old_status, moved.c.status).in_(pairs))


def standing_moves(keys: FromClause) -> Select[Any]:
    """Select (key, source, detail) of the dossiers that have unexplained backward moves.

    Args:
        keys: dossiers, column ``key``, each once.
    """
    moved = unexplained_moves(keys).subquery("unexplained")
    told = func.jsonb_build_object(
        "from",
        moved.c.old_status,
        "to",
        moved.c.status,
        "versions",
        func.jsonb_build_array(
            func.jsonb_build_array(moved.c.old_epoch, moved.c.old_version),
            func.jsonb_build_array(moved.c.source_epoch, moved.c.source_version),
        ),
    )
    moves = cast(func.jsonb_agg(aggregate_order_by(told, *in_order(moved))), JSONB)
    last, others = moves.op("->", return_type=JSONB())(-1), moves.op("-", return_type=JSONB())(-1)
    detail = last.op("||", return_type=JSONB())(func.jsonb_build_object("earlier", others))
    return select(moved.c.key, moved.c.source, detail.label("detail")).group_by(moved.c.key, moved.c.source)


def reviews_opened(keys: FromClause) -> Insert:
    """Open or update the reviews of some dossiers; a closed review opens again."""
    found = standing_moves(keys).subquery("standing")
    about, aspect = (found.c.key, found.c.source), progress_tables().name
    return reviews_of(question(BACKWARD_STATUS, aspect, about, found.c.detail, field=FIELD), is_dated_anew=True)


def reviews_closed(keys: FromClause) -> Update:
    """Close the reviews of some dossiers whose reason no longer exists."""
    mine = and_(
        review.c.kind == BACKWARD_STATUS,
        review.c.aspect == progress_tables().name,
        review.c.closed_at.is_(None),
    )
    asked = select(review.c.id, review.c.key, review.c.source).join_from(keys, review, review.c.key == keys.c.key)
    asked_about = asked.where(mine).cte("asked")
    of_asked = select(asked_about.c.key).distinct().cte("asked_keys")
    found = standing_moves(of_asked).subquery("standing")
    # Not an anti join: PostgreSQL hashes the list, even if it expects few rows.
    is_over = tuple_(asked_about.c.key, asked_about.c.source).not_in(select(found.c.key, found.c.source))
    over = select(asked_about.c.id).where(is_over)
    return update(review).values(closed_at=literal_column("now()")).where(review.c.id.in_(over))


@cache
def events_flagged() -> Insert:
    """Flag events as moved backward, by their places ``:logs`` and ``:offsets``; their audit rows do not change."""
    place = (
        func.unnest(bindparam("logs", type_=ARRAY(SmallInteger)), bindparam("offsets", type_=ARRAY(BigInteger)))
        .table_valued("log", "log_offset", name="place")
        .render_derived()
    )
    rows = select(place.c.log, place.c.log_offset, literal(int(Flag.BACKWARD_STATUS), Integer))
    return insert(late_flag).from_select(["log", "log_offset", "flags"], rows).on_conflict_do_nothing()
