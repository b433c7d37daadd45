"""Plan a replay: what it would read, which events count, what would be withdrawn, and what that costs."""

from dataclasses import asdict, dataclass
from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, func, or_, select, text

from hub.model.errors import ConfigError
from hub.model.policies.policy import Policy
from hub.operate.actions import Action, note
from hub.operate.replay.filters import Filters, LogPlace, Selection, ranges_of
from hub.operate.replay.store import store_plan
from hub.reconcile.shared.republish import JOB_LOG
from hub.warehouse.database import translated_errors
from hub.warehouse.sources import applied_policy, source_numbers
from hub.warehouse.tables.core import audit, log_partition
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables
from hub.warehouse.tables.kinds import TableKind, tables_of
from hub.warehouse.tables.replays import replay

ASSUMED_EVENTS_PER_S = 20_000.0
"""The speed that is assumed until a replay has run here."""

PLAN = "replay.plan"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a replay would cost.

    Fields:
        reads: events that are read.
        selected: events that count, by the audit log; if times are given, by the time at which the hub merged them.
        claims: claims within the scope, which are withdrawn before the selected events are merged.
        seconds: at ``events_per_s``: the last replay's speed, an assumed speed if there was none, or the cap.
        bytes: disk space of the shadow.
    """

    reads: int
    selected: int
    claims: int
    seconds: float
    events_per_s: float
    is_measured: bool
    bytes: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan as it was stored."""

    id: int
    words: tuple[str, ...]
    selection: Selection
    estimate: Estimate
    publish: bool

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "id": self.id,
            "filters": list(self.words),
            "whole": self.selection.is_whole,
            "publish": self.publish,
            "selection": self.selection.as_json(),
            "estimate": asdict(self.estimate),
        }


def plan_replay(engine: Engine, filters: Filters, publish: bool, by: Action, rate: int | None = None) -> Planned:
    """Fix what a replay reads, estimate it, and store the plan; nothing else changes.

    Raises:
        ConfigError: the filters select nothing, or name what does not exist; with every reason.
    """
    with translated_errors("planning a replay"), engine.begin() as connection:
        applied = applied_policy(connection)
        if applied is None:
            raise ConfigError(["no policy is in force yet: there is nothing to replay"])
        selection = select_in(connection, filters, applied.policy)
        estimate = _estimate(connection, selection, rate)
        words = tuple(filters.words()) or ("everything",)
        number = store_plan(
            connection,
            {
                "made_by": by.actor,
                "why": by.purpose,
                "publish": publish,
                "policy_digest": applied.policy.digest,
                "revision": revision_of(connection),
                "document": {
                    "words": list(words),
                    "selection": selection.as_json(),
                    "estimate": asdict(estimate),
                },
            },
        )
        note(connection, Action(by.actor, PLAN, by.purpose, detail={"replay": number, "filters": list(words)}))
    return Planned(number, words, selection, estimate, publish)


def select_in(connection: Connection, filters: Filters, policy: Policy) -> Selection:
    """Return what filters mean in a warehouse.

    Raises:
        ConfigError: with every reason.
    """
    problems = filters.problems(policy)
    if problems:
        raise ConfigError(problems)
    numbers = source_numbers(connection)
    codes = filters.chosen_sources(policy)
    ranges = ranges_of(filters, policy, live_places(connection))
    if not any(one.first < one.end for one in ranges):
        raise ConfigError(["nothing is selected: the hub has consumed no event of what the filters name"])
    return Selection(
        filters.chosen_subjects(policy),
        None if codes is None else {code: numbers[code] for code in codes if code in numbers},
        filters.keys or None,
        filters.since,
        filters.until,
        ranges,
    )


def live_places(connection: Connection) -> list[LogPlace]:
    """Return how far a warehouse has read each partition of the log."""
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            log_partition.c.first_offset,
            log_partition.c.next_offset,
        )
        .where(log_partition.c.topic != JOB_LOG)
        .order_by(log_partition.c.topic, log_partition.c.partition)
    )
    return [LogPlace(*row) for row in rows]


def revision_of(connection: Connection) -> str:
    """Return the migration that a warehouse has reached."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def _estimate(connection: Connection, selection: Selection, rate: int | None) -> Estimate:
    last = connection.execute(
        select(replay.c.events_per_s).where(replay.c.events_per_s.is_not(None)).order_by(replay.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    speed = min(last or ASSUMED_EVENTS_PER_S, rate or float("inf"))
    claims = sum(
        connection.execute(
            select(func.count()).select_from(tables.claim).where(claims_in_scope(tables, selection))
        ).scalar_one()
        for tables in all_aspect_tables()
        if tables.aspect.subject in selection.subjects
    )
    selected = connection.execute(_events_selected(selection)).scalar_one()
    return Estimate(
        selection.reads,
        int(selected),
        int(claims),
        round(selection.reads / speed, 1),
        round(speed, 1),
        last is not None,
        _bytes_of_state(connection),
    )


def _events_selected(selection: Selection) -> Select[int]:
    """Count the selected events by their audit rows."""
    stretches = [
        and_(audit.c.log == one.log, audit.c.log_offset >= one.first, audit.c.log_offset < one.until)
        for one in selection.ranges
        if one.first < one.until
    ]
    counted = select(func.count()).select_from(audit).where(or_(*stretches) if stretches else text("false"))
    if selection.sources is not None:
        counted = counted.where(audit.c.source.in_(list(selection.sources.values())))
    if selection.keys is not None:
        counted = counted.where(audit.c.key.in_(selection.keys))
    if selection.since is not None:
        counted = counted.where(audit.c.recorded_at >= selection.since)
    if selection.until is not None:
        counted = counted.where(audit.c.recorded_at < selection.until)
    return counted


def claims_in_scope(tables: AspectTables, selection: Selection) -> ColumnElement[bool]:
    """Return the condition that a claim of an aspect is within a plan's scope; the aspect's subject must be in it."""
    claim = tables.claim
    conditions: list[ColumnElement[bool]] = [claim.c.key.is_not(None)]
    if selection.sources is not None:
        conditions.append(claim.c.source.in_(list(selection.sources.values())))
    if selection.keys is not None:
        conditions.append(claim.c.key.in_(selection.keys))
    return and_(*conditions)


def _bytes_of_state(connection: Connection) -> int:
    names = [table.name for table in tables_of(TableKind.STATE)]
    sized = text(
        "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0) FROM unnest(CAST(:names AS text[])) AS name"
    )
    return int(connection.execute(sized, {"names": names}).scalar_one())
