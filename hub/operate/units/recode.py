"""Recode residences after a boundary change: rows that say which code a residence has now; never a move of a person.

A claim keeps what its source said, and history is not rewritten. The job appends one row to ``recode`` for every
residence that holds a record and whose unit certainly became another one by a day. A residence whose unit was split is
only counted and left to an officer. The recoded residences are published again. A later run adds what is new since.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    Insert,
    MetaData,
    Select,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import DropTable

from hub.model.entities import CITIZEN
from hub.model.units.graph import Resolution
from hub.operate.actions import Action, note
from hub.reconcile.rules.units.graph_store import held_units
from hub.reconcile.shared.identity import part_text, same_identity
from hub.reconcile.shared.republish import job_place
from hub.warehouse.locks import Lock, hold
from hub.warehouse.tables.core import touched
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.units import day_of, is_effective, is_unit_of, recode, unit_now

RECODE = "units recode"
"""Name of the job in the table ``action``."""

_RESIDENCE = CITIZEN.aspect("residence")
_ENDED = "DELETE"
_MOVE = Table(
    "unit_move",
    MetaData(),
    *(Column(name, Text) for name in ("scheme", "code", "resolution", "now_scheme", "now_code")),
    *(Column(name, Text) for name in ("from_scheme", "from_code", "decree")),
    *(Column(name, Date) for name in ("said_from", "said_until", "effective_from")),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
"""A temporary table of the transaction: what each code means on the day of the job."""
_ROWS_AT_ONCE = 20_000
"""About this many rows per statement, so that the job can show progress and publishes records in bounded steps."""


@dataclass(frozen=True, slots=True)
class RecodePlan:
    """What a recode would do, in residences that hold a record.

    Fields:
        to_recode: their unit certainly became another one, and no row says so yet.
        done: the same, with a row from an earlier job.
        same: their code has not changed.
        ambiguous: their unit was split: an officer must decide; not recoded.
        unknown: their code belongs to no unit, or nobody said what became of it.
        ended: removed from the register, or ended before the change.
    """

    effective: date
    to_recode: int
    done: int
    same: int
    ambiguous: int
    unknown: int
    ended: int

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        counts = {name: getattr(self, name) for name in ("to_recode", "done", "same", "ambiguous", "unknown", "ended")}
        return {"effective": self.effective.isoformat(), **counts}


@dataclass(frozen=True, slots=True)
class Job:
    """Who has residences recoded by a day, and why; ``expected``: number of rows, which decides the number of parts."""

    effective: date
    actor: str
    reason: str
    expected: int = 0


def plan_recode(connection: Connection, effective: date) -> RecodePlan:
    """Count what a recode would do; reads every residence once, writes nothing permanent."""
    _make_moves(connection, effective)
    found = _residences(_tables()).subquery()
    identity = [column.name for column in recode.primary_key.columns]
    is_done = and_(found.c.fate == "to_recode", *(recode.c[name] == found.c[name] for name in identity))
    fate = case((recode.c.key.is_not(None), "done"), else_=found.c.fate)
    counts = select(fate, func.count()).select_from(found.outerjoin(recode, is_done)).group_by(fate)
    fates: dict[str, int] = {fate: number for fate, number in connection.execute(counts)}
    names = ("to_recode", "done", "same", "ambiguous", "unknown", "ended")
    return RecodePlan(effective, *(fates.get(name, 0) for name in names))


def execute_recode(
    connection: Connection, job: Job, progress: Callable[[int, int], None] = lambda done, of: None
) -> int:
    """Recode in the caller's transaction; return how many rows were appended.

    Units cannot change while it runs. Claims can, and each part recodes them as it finds them.

    ``progress`` receives how many parts are done, and how many there are.
    """
    hold(connection, Lock.UNITS, shared=True)
    detail = {"effective": job.effective.isoformat(), "expected": job.expected}
    number = note(connection, Action(job.actor, RECODE, job.reason, CITIZEN.name, None, detail))
    _make_moves(connection, job.effective)
    appended, parts = 0, job.expected // _ROWS_AT_ONCE + 1
    for part in range(parts):
        log, log_offset = job_place(connection)
        first, last = _bounds(part, parts)
        parameters = {
            "job": number,
            "first": first,
            "last": last,
            "log": log,
            "log_offset": log_offset,
        }
        appended += connection.execute(_recode_rows(_tables()), parameters).scalar_one()
        progress(part + 1, parts)
    return appended


def _tables() -> AspectTables:
    return aspect_tables(_RESIDENCE.subject)


def _bounds(part: int, parts: int) -> tuple[UUID, UUID]:
    """Return the first and last key of a part; keys are hashes and fill the space evenly."""
    edges = [2**128 * edge // parts for edge in (part, part + 1)]
    return UUID(int=edges[0]), UUID(int=edges[1] - 1)


def _make_moves(connection: Connection, effective: date) -> None:
    """Fill ``_MOVE`` once for all parts, and analyse it, so that the planner joins it well.

    The planner's guess of how many rows of a part match by key, part and source is a hundred times too low. With very
    many rows it would compare every residence with every unit, so nested loops are off until the transaction ends.
    """
    connection.execute(DropTable(_MOVE, if_exists=True))
    _MOVE.create(connection, checkfirst=False)
    moves = _moves(effective)
    connection.execute(insert(_MOVE).from_select([column.name for column in moves.selected_columns], moves))
    connection.execute(text(f"ANALYZE {_MOVE.name}"))
    connection.execute(text("SET LOCAL enable_nestloop = off"))


def _moves(effective: date) -> Select[Any]:
    """Select what each code means on a day, since when, by which act, and what it meant before."""
    units, before, acts = unit_now.alias("unit"), unit_now.alias("before"), held_units().subquery("act")
    same_span = and_(
        before.c.scheme == units.c.scheme,
        before.c.code == units.c.code,
        before.c.said_from == units.c.said_from,
        before.c.effective_until == units.c.effective_from,
    )
    same_act = and_(
        acts.c.scheme == units.c.now_scheme,
        acts.c.unit_code == units.c.now_code,
        acts.c.valid_from == units.c.effective_from,
    )
    return (
        select(
            *(units.c[column.name] for column in unit_now.columns if column.name in _MOVE.columns),
            func.coalesce(before.c.now_scheme, units.c.scheme).label("from_scheme"),
            func.coalesce(before.c.now_code, units.c.code).label("from_code"),
            acts.c.legal_basis_number.label("decree"),
        )
        .join_from(units, before, same_span, isouter=True)
        .outerjoin(acts, same_act)
        .where(is_effective(units, effective))
    )


def _residences(tables: AspectTables) -> Select[Any]:
    """Select residences that hold a record, each with what a recode by the day of ``_MOVE`` does to it (``fate``)."""
    claim, record, move = tables.claim, tables.record, _MOVE
    held = and_(same_identity(tables, claim, record), claim.c.source == record.c.source)
    said = is_unit_of(move, claim.c.unit_scheme, claim.c.commune_code, day_of(claim.c.occurred_at))
    is_over = or_(claim.c.action == _ENDED, claim.c.to_date <= move.c.effective_from)
    is_same = and_(move.c.now_scheme == move.c.from_scheme, move.c.now_code == move.c.from_code)
    fate = case(
        (is_over, "ended"),
        (move.c.resolution == Resolution.AMBIGUOUS.value, "ambiguous"),
        (move.c.now_code.is_(None), "unknown"),
        (is_same, "same"),
        else_="to_recode",
    )
    return select(
        claim.c.key,
        part_text(tables, claim).label("part"),
        claim.c.source,
        move.c.from_scheme,
        move.c.from_code,
        move.c.now_scheme.label("to_scheme"),
        move.c.now_code.label("to_code"),
        move.c.decree,
        move.c.effective_from.label("effective"),
        fate.label("fate"),
    ).select_from(record.join(claim, held).outerjoin(move, said))


@cache
def _recode_rows(tables: AspectTables) -> Select[int]:
    """Append the rows of one part of the keys, note their keys as touched, and count the rows."""
    found = _residences(tables)
    within = tables.claim.c.key.between(bindparam("first", type_=Uuid), bindparam("last", type_=Uuid))
    found = found.where(within, tables.record.c.key.between(bindparam("first"), bindparam("last")))
    # Materialised: the planner's guess of how many rows pass a CASE is far too low, and later joins would be slow.
    rows = found.cte("residence").prefix_with("MATERIALIZED", dialect="postgresql")
    names = [column.name for column in recode.columns if column.name != "job"]
    values = select(*(rows.c[name] for name in names), bindparam("job", type_=BigInteger))
    appending = postgresql.insert(recode).from_select([*names, "job"], values.where(rows.c.fate == "to_recode"))
    appended = appending.on_conflict_do_nothing().returning(recode.c.key).cte("appended")
    noted = _touching(appended).cte("noted")
    return select(func.count()).select_from(appended).add_cte(noted)


def _touching(appended: Any) -> Insert:
    place = (bindparam("log", type_=SmallInteger), bindparam("log_offset", type_=BigInteger))
    keys = select(*place, literal(CITIZEN.name, Text), appended.c.key).distinct()
    return insert(touched).from_select(["log", "log_offset", "entity", "key"], keys)
