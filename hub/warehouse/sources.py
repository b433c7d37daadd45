"""The policy in the warehouse: which one is in force, a number for each source, and its rank in every aspect.

The very first worker applies its policy file by itself. Afterwards ``hub policy apply`` changes the policy, because a
changed rank or cut-over makes stored records wrong until they are decided again. A worker with a different policy file
refuses to start, and one that was already running can no longer commit (hub.reconcile.merge).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, text, tuple_, update

from hub.model.errors import ConfigError, NotMigratedError
from hub.model.policies.changes import RANK_IN, VALID_UNTIL, Change, policy_changes
from hub.model.policies.policy import Policy, parse_policy
from hub.model.policies.ranks import policy_problems, ranks
from hub.warehouse.tables.core import authority, policy, source

_FIRST_START = "first start"
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """The policy in force, when it was applied and by whom."""

    policy: Policy
    applied_at: datetime
    applied_by: str


def digest_in_force() -> Select[str]:
    """Select the digest of the policy in force; no row if there was none yet."""
    return select(policy.c.digest).order_by(policy.c.id.desc()).limit(1)


def applied_policy(connection: Connection) -> AppliedPolicy | None:
    """Return the policy in force; None if none was applied yet."""
    row = connection.execute(select(policy).order_by(policy.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return AppliedPolicy(parse_policy(row.document.encode(), "applied policy"), row.applied_at, row.applied_by)


def store_sources(connection: Connection, policy: Policy) -> dict[str, int]:
    """Return each source's number by its code, for a worker that starts with this policy.

    Applies the policy if it is the warehouse's first.

    Raises:
        ConfigError: the policy is not the one in force (with the differences), or it gives a source no authority.
        NotMigratedError: none is in force and this user may not apply one.
    """
    applied = applied_policy(connection)
    if applied is None:
        _check_may_apply(connection)
        # One at a time: workers start together, and each must see what another one stored before it compares.
        connection.execute(text("LOCK TABLE source IN SHARE ROW EXCLUSIVE MODE"))
        applied = applied_policy(connection)
    if applied is None:
        _check_first(connection, policy)
        write_policy(connection, policy, _FIRST_START)
    elif applied.policy.digest != policy.digest:
        raise ConfigError(_refusal(applied.policy, policy))
    numbers = source_numbers(connection)
    return {code: numbers[code] for code in policy.sources}


def source_numbers(connection: Connection) -> dict[str, int]:
    """Return the number of every source that was ever in a policy."""
    return {code: number for number, code in connection.execute(select(source.c.id, source.c.code))}


def write_policy(connection: Connection, new_policy: Policy, by: str) -> None:
    """Make a policy the one in force: its sources, their ranks and its text. A source always keeps its number.

    The caller decides again what this changes, and holds back batches meanwhile.

    Raises:
        ConfigError: a source may speak of a subject in which it has no authority.
    """
    problems = policy_problems(new_policy)
    if problems:
        raise ConfigError(problems)
    _store_codes(connection, new_policy)
    _store_ranks(connection, new_policy)
    connection.execute(insert(policy).values(digest=new_policy.digest, document=new_policy.document, applied_by=by))


def _check_may_apply(connection: Connection) -> None:
    if not connection.execute(text("SELECT has_table_privilege('policy', 'INSERT')")).scalar_one():
        raise NotMigratedError(
            [
                "no policy is in force, and this user may not apply one: "
                "run `hub policy apply FILE --execute --reason TEXT` with HUB_DATABASE_URL of the tables' owner first"
            ]
        )


def _check_first(connection: Connection, policy: Policy) -> None:
    """Refuse a first policy that would change decided records, in a warehouse that is older than stored policies."""
    changes = changes_of_stored(connection, policy)
    if changes:
        raise ConfigError(
            [
                "the warehouse was made under another policy: see `hub policy plan FILE`",
                *map(str, changes[:_MOST_NAMED]),
            ]
        )


def changes_of_stored(connection: Connection, policy: Policy) -> tuple[Change, ...]:
    """Return the stored ranks and cut-overs that a policy changes, if no policy was stored yet."""
    names = {number: code for code, number in source_numbers(connection).items()}
    new = {(rank.aspect, rank.source): str(rank.rank) for rank in ranks(policy)}
    found = [
        Change(names[row.source], f"{RANK_IN}{row.aspect}", str(row.rank), new.get((row.aspect, names[row.source])))
        for row in connection.execute(select(authority).order_by(authority.c.source, authority.c.aspect))
        if new.get((row.aspect, names[row.source])) != str(row.rank)
    ]
    for row in connection.execute(select(source).order_by(source.c.id)):
        declared = policy.sources.get(row.code)
        until = declared and declared.valid_until
        if declared is not None and until != row.valid_until:
            found.append(Change(row.code, VALID_UNTIL, str(row.valid_until or "none"), str(until or "none")))
    return tuple(found)


def _refusal(applied: Policy, policy: Policy) -> list[str]:
    changes = [str(change) for change in policy_changes(applied, policy)]
    more = [f"... and {len(changes) - _MOST_NAMED} more"] if len(changes) > _MOST_NAMED else []
    return [
        f"the policy file ({policy.digest[:12]}) is not the policy in force ({applied.digest[:12]}): "
        "see `hub policy plan FILE`, then `hub policy apply FILE --execute --reason TEXT`, "
        "or start with the policy in force",
        *(changes[:_MOST_NAMED] or ["they differ only in words: remarks or layout"]),
        *more,
    ]


def _store_codes(connection: Connection, policy: Policy) -> None:
    """Insert only the new sources: an insert that does nothing also uses up one of 32,767 numbers."""
    known = set(connection.execute(select(source.c.code)).scalars())
    new = [one for one in policy.sources.values() if one.code not in known]
    if new:
        rows = [{"code": one.code, "agency": one.agency, "role": one.role.value} for one in new]
        connection.execute(insert(source), rows)
    for one in policy.sources.values():
        stored = (source.c.agency, source.c.role, source.c.valid_until)
        wanted = (one.agency, one.role.value, one.valid_until)
        connection.execute(
            update(source)
            .values(agency=one.agency, role=one.role.value, valid_until=one.valid_until)
            .where(source.c.code == one.code, tuple_(*stored).is_distinct_from(tuple_(*wanted)))
        )


def _store_ranks(connection: Connection, policy: Policy) -> None:
    numbers = source_numbers(connection)
    wanted = {(rank.aspect, numbers[rank.source]): rank.rank for rank in ranks(policy)}
    stored = {(row.aspect, row.source): row.rank for row in connection.execute(select(authority))}
    changed = [place for place in stored if stored[place] != wanted.get(place)]
    if changed:
        connection.execute(delete(authority).where(tuple_(authority.c.aspect, authority.c.source).in_(changed)))
    new = [
        {"aspect": aspect, "source": number, "rank": rank}
        for (aspect, number), rank in wanted.items()
        if stored.get((aspect, number)) != rank
    ]
    if new:
        connection.execute(insert(authority), new)
