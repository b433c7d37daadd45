"""The policy's sources in the warehouse: a number for each, and its rank in every aspect it may speak of."""

from collections.abc import Iterator

from sqlalchemy import Connection, insert, select, text, update

from hub.model.entities import ENTITIES, Aspect
from hub.model.errors import ConfigError
from hub.model.policy import Policy, Source
from hub.warehouse.tables import authority, source


def rank_of(aspect: Aspect, of: Source) -> int | None:
    """Return a source's rank in an aspect, 0 the highest; None when its role has no authority there."""
    return aspect.authority.index(of.role) if of.role in aspect.authority else None


def policy_problems(policy: Policy) -> list[str]:
    """Return the sources that may speak of a subject in which their role has no authority."""
    return [
        f"policy: source {of.code}: role {of.role.value} has no authority in {aspect.subject}"
        for of in policy.sources.values()
        for entity in ENTITIES
        for aspect in entity.aspects
        if aspect.subject in of.subjects and rank_of(aspect, of) is None
    ]


def store_sources(connection: Connection, policy: Policy) -> dict[str, int]:
    """Store the policy's sources and ranks; return each source's number by its code.

    A source keeps its number for ever; its cut-over may be set or moved, and counts for what is merged from then on.
    A changed rank would make stored records wrong without anyone deciding again, so it is refused here.

    Raises:
        ConfigError: a source without authority, or whose rank differs from the one stored.
    """
    problems = policy_problems(policy)
    # One at a time: workers start together, and what one stores the next must see before it compares.
    connection.execute(text("LOCK TABLE source IN SHARE ROW EXCLUSIVE MODE"))
    _store_codes(connection, policy)
    numbers = {code: number for number, code in connection.execute(select(source.c.id, source.c.code))}
    stored = {(row.aspect, row.source): row.rank for row in connection.execute(select(authority))}
    for name, of, rank in _ranks(policy):
        before = stored.get((name, numbers[of.code]))
        if before is None:
            connection.execute(insert(authority).values(aspect=name, source=numbers[of.code], rank=rank))
        elif before != rank:
            problems.append(
                f"policy: source {of.code} had rank {before} in {name} and would get {rank}; "
                "records decided by the old rank would stay: load it into a new database schema and replay"
            )
    if problems:
        raise ConfigError(problems)
    return {code: number for code, number in numbers.items() if code in policy.sources}


def _store_codes(connection: Connection, policy: Policy) -> None:
    """Insert the sources that are new, and no others: an insert that does nothing uses up one of 32,767 numbers too."""
    known = set(connection.execute(select(source.c.code)).scalars())
    new = [of for of in policy.sources.values() if of.code not in known]
    if new:
        rows = [{"code": of.code, "agency": of.agency, "role": of.role.value} for of in new]
        connection.execute(insert(source), rows)
    for of in policy.sources.values():
        connection.execute(
            update(source)
            .values(valid_until=of.valid_until)
            .where(source.c.code == of.code, source.c.valid_until.is_distinct_from(of.valid_until))
        )


def _ranks(policy: Policy) -> Iterator[tuple[str, Source, int]]:
    """Yield (aspect, source, rank) wherever a source may speak and has authority."""
    for entity in ENTITIES:
        for aspect in entity.aspects:
            for of in policy.sources.values():
                rank = rank_of(aspect, of)
                if rank is not None and aspect.subject in of.subjects:
                    yield f"{entity.name}.{aspect.name}", of, rank
