"""Drop expired months of the audit log: only what is sealed, signed, published and verified.

The seals stay, so the chain still goes back to its first link. ``retired`` stores how many rows of each outcome were
dropped, so the ledger stays balanced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Select, column, func, insert, literal, select, table, text

from hub.model.errors import HubError
from hub.model.evidence import RELEASES
from hub.operate.actions import Action, note
from hub.operate.evidence.findings import Finding
from hub.operate.evidence.heads import published_seal
from hub.operate.evidence.verify import RETIRE, stretch_findings
from hub.warehouse.database import translated_errors
from hub.warehouse.evidence.months import Month, drop_month, month_after, months_there, today
from hub.warehouse.tables.evidence import BY_MONTH, retired, seal


@dataclass(frozen=True, slots=True)
class Retirement:
    """A month that may be dropped, or why it may not: ``problems`` in words; ``rows``: how many it holds."""

    month: Month
    rows: int
    problems: tuple[str, ...]


def plan_retirement(
    connection: Connection, keep_months: int, progress: Callable[[int], None] = lambda _: None
) -> list[Retirement]:
    """Return the expired months, each verified against its seals; releases come before the rows they belong to."""
    newest_kept = month_after(today(connection), -keep_months)
    old = [month for relation in reversed(BY_MONTH) for month in months_there(connection, relation)]
    return [_checked(connection, month, progress) for month in old if month.first_day < newest_kept]


def _checked(connection: Connection, month: Month, progress: Callable[[int], None]) -> Retirement:
    of = table(month.name, column("log"), column("log_offset"), column("id"))
    rows = int(connection.execute(select(func.count()).select_from(of)).scalar_one())
    published = published_seal(connection)
    seals = connection.execute(_seals_of(month)).all()
    problems = []
    if sum(one.rows for one in seals) != rows:
        problems.append(f"{rows:,} rows, of which {sum(one.rows for one in seals):,} are sealed")
    if any(one.id > published for one in seals):
        problems.append("some of its seals are in no published head")
    found: list[Finding] = []
    for one in seals:
        found += stretch_findings(connection, one)
        progress(one.rows)
    problems += [f"{of.wrong}: {of.where}" for of in found[:10]]
    return Retirement(month, rows, tuple(problems))


def _seals_of(month: Month) -> Select[Any]:
    of_relation = seal.c.log.is_not(None) if month.relation == "audit" else seal.c.chain == RELEASES
    return select(seal).where(of_relation, seal.c.month == month.first_day).order_by(seal.c.id)


def retire(engine: Engine, plan: Sequence[Retirement], by: str, why: str) -> int:
    """Drop the months of a plan; return how many rows were dropped. The engine's user must own the tables.

    Raises:
        HubError: the plan contains a month that may not be dropped.
    """
    bad = [one.month.name for one in plan if one.problems]
    if bad:
        raise HubError(f"nothing was dropped, because {', '.join(bad)} did not verify: see `hub audit verify`")
    dropped = 0
    for one in plan:
        with translated_errors("dropping a month of the audit log"), engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            detail = {"partition": one.month.name, "rows": one.rows}
            note(connection, Action(by, RETIRE, why, detail=detail))
            connection.execute(_counts_kept(one.month))
            drop_month(connection, one.month)
            dropped += one.rows
    return dropped


def _counts_kept(month: Month) -> Insert:
    names = ("log", "log_offset", "outcome", "id")
    of = table(month.name, *(column(name) for name in names))
    place = of.c.id if month.relation == "release" else of.c.log_offset
    counted = select(
        literal(month.relation),
        literal(month.first_day),
        of.c.log,
        func.min(place),
        func.max(place) + 1,
        of.c.outcome,
        func.count(),
    ).group_by(of.c.log, of.c.outcome)
    return insert(retired).from_select(
        ["relation", "month", "log", "first_place", "end_place", "outcome", "records"], counted
    )
