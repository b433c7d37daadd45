"""Change the policy in force: plan exactly what would change, and apply it, in one transaction.

Ranks and cut-overs decide who holds a record, so the records and conflicts of what changed are decided again from the
claims. A plan does all of it and rolls back. While a policy is being applied, no batch commits. Afterwards a worker
that was started with the old policy cannot commit any more (hub.reconcile.merge).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text

from hub.model.errors import ConfigError
from hub.model.policies.changes import ORDER, RANK_IN, SOURCE, Change, policy_changes, rederived
from hub.model.policies.policy import Policy
from hub.model.policies.ranks import policy_problems
from hub.model.processes import Condition, Limits, Role
from hub.operate.actions import Action, note
from hub.reconcile.fence import hold_back_batches
from hub.reconcile.registry import redecide
from hub.reconcile.shared.republish import AuditPlace, job_place
from hub.reconcile.shared.stage import ensure_stages
from hub.warehouse.database import translated_errors
from hub.warehouse.ownership_changes import OwnershipChanges
from hub.warehouse.processes import read_processes
from hub.warehouse.sources import AppliedPolicy, applied_policy, changes_of_stored, source_numbers, write_policy
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables

APPLY = "policy.apply"


@dataclass(frozen=True, slots=True)
class AspectChange:
    """What a policy changes in one aspect.

    Fields:
        keys: how many keys have claims of sources whose rank or cut-over changes.
        records: how many records another source would hold.
        opened, closed: conflicts.
    """

    aspect: str
    keys: int
    records: int
    opened: int
    closed: int


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """What applying a policy changes. ``before`` is None if none was in force; ``applied``: it was done."""

    before: str | None
    after: str
    changes: tuple[Change, ...]
    aspects: tuple[AspectChange, ...]
    applied: bool

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return asdict(self)


def workers_running(engine: Engine, limits: Limits) -> tuple[str, ...]:
    """Return the names of the workers that run now, with the policy in force: no other worker starts."""
    with translated_errors("reading the heartbeats"), engine.connect() as connection:
        found = read_processes(connection, limits)
    ended = (Condition.GONE, Condition.ENDED)
    return tuple(one.beat.name for one in found if one.beat.role is Role.WORKER and one.condition not in ended)


def policy_in_force(engine: Engine) -> AppliedPolicy | None:
    """Return the policy in force; None if none was applied yet."""
    with translated_errors("reading the policy"), engine.connect() as connection:
        return applied_policy(connection)


def plan_policy(engine: Engine, policy: Policy) -> PolicyPlan:
    """Return what applying a policy would change, counted by doing it and rolling back.

    Batches continue meanwhile; a batch with a key that is just being decided waits for it.

    Raises:
        ConfigError: the policy cannot be applied, with every reason.
    """
    with translated_errors("planning the policy"), engine.connect() as connection:
        ensure_stages(connection)
        transaction = connection.begin()
        try:
            return _change(connection, policy, None)
        finally:
            transaction.rollback()


def apply_policy(engine: Engine, policy: Policy, actor: str, reason: str) -> PolicyPlan:
    """Put a policy in force and decide again what it changes; all of it or nothing.

    Raises:
        ConfigError: the policy cannot be applied, with every reason; or no reason is given.
    """
    with translated_errors("applying the policy"), engine.connect() as connection:
        ensure_stages(connection)
        with connection.begin():
            hold_back_batches(connection)
            connection.execute(text("LOCK TABLE source IN EXCLUSIVE MODE"))
            plan = _change(connection, policy, actor)
            detail = {
                "before": plan.before,
                "after": plan.after,
                "changes": [str(change) for change in plan.changes],
                "records": sum(aspect.records for aspect in plan.aspects),
            }
            note(connection, Action(actor, APPLY, reason, detail=detail))
        return plan


def _change(connection: Connection, policy: Policy, by: str | None) -> PolicyPlan:
    """Apply a policy in the caller's transaction; without ``by`` it is a plan, and new sources get no number."""
    applied = applied_policy(connection)
    if applied is None:
        changes = (*changes_of_stored(connection, policy), *policy_changes(replace(policy, sources={}), policy))
    else:
        changes = policy_changes(applied.policy, policy)
    problems = [*policy_problems(policy), *_problems(connection, changes)]
    if problems:
        raise ConfigError(problems)
    known = source_numbers(connection)
    written = (
        policy if by else replace(policy, sources={code: one for code, one in policy.sources.items() if code in known})
    )
    write_policy(connection, written, by or "plan")
    place = job_place(connection)
    numbers = source_numbers(connection)
    aspects = []
    for tables, codes in _affected(changes):
        sources = [numbers[code] for code in codes if code in numbers]
        aspects.append(_decide_anew(connection, tables, sources, place))
    return PolicyPlan(
        before=None if applied is None else applied.policy.digest,
        after=policy.digest,
        changes=changes,
        aspects=tuple(aspect for aspect in aspects if aspect.keys),
        applied=by is not None,
    )


def _affected(changes: tuple[Change, ...]) -> Iterator[tuple[AspectTables, frozenset[str]]]:
    by_aspect = rederived(changes)
    for tables in all_aspect_tables():
        if tables.name in by_aspect:
            yield tables, by_aspect[tables.name]


def _decide_anew(connection: Connection, tables: AspectTables, sources: list[int], place: AuditPlace) -> AspectChange:
    claim = tables.claim
    keys = connection.execute(
        select(func.count(claim.c.key.distinct())).where(claim.c.source.in_(sources))
    ).scalar_one()
    # A claim without rivals holds its record whatever its rank is.
    identities = select(*(claim.c[name] for name in tables.identity)).where(
        claim.c.source.in_(sources), claim.c.contested
    )
    changes = OwnershipChanges.of(tables)
    changes.remember(connection, identities)
    redecide(connection, tables, identities, place)
    return AspectChange(tables.name, keys, *changes.changed(connection))


def _problems(connection: Connection, changes: tuple[Change, ...]) -> list[str]:
    """Return the changes to refuse: earlier events would be read differently, or by nobody."""
    numbers = source_numbers(connection)
    problems = []
    for change in changes:
        number = numbers.get(change.source)
        if number is None:
            continue
        if change.what == SOURCE and change.after is None and _claims_of(connection, number):
            problems.append(
                f"policy: source {change.source} has claims and cannot be left out: give it a valid_until, or have it "
                "withdraw its claims"
            )
        elif change.what.startswith(RANK_IN) and change.after is None:
            aspect = change.what.removeprefix(RANK_IN)
            if _claims_of(connection, number, aspect) and not _is_left_out(changes, change.source):
                problems.append(f"policy: source {change.source} has claims in {aspect} and must keep a rank there")
        elif change.what == ORDER and _claims_of(connection, number):
            problems.append(
                f"policy: source {change.source} has claims ordered by {change.before}: give the source that orders "
                f"by {change.after} another code"
            )
    return problems


def _is_left_out(changes: tuple[Change, ...], source: str) -> bool:
    return any(change.source == source and change.what == SOURCE and change.after is None for change in changes)


def _claims_of(connection: Connection, number: int, aspect: str | None = None) -> bool:
    for tables in all_aspect_tables():
        if aspect in (None, tables.name):
            claim = tables.claim
            found = select(claim.c.source).where(claim.c.source == number, ~claim.c.revoked).limit(1)
            if connection.execute(found).first() is not None:
                return True
    return False
