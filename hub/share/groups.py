"""Keys of one thing, as share publishes them: one record per group, each aspect from the member whose claim wins.

The winner is chosen as among the sources of one key: by rank, then the later ``occurred_at``, then the source's code.
Of two claims of one source, the one under the group's published key wins (hub.reconcile.records, links).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.warehouse.tables.core import authority, same_key, source
from hub.warehouse.tables.entities import AspectTables


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups to which some keys belong: ``canonical`` by member; empty if no key is in a group."""

    canonical: Mapping[UUID, UUID]

    @property
    def members(self) -> frozenset[UUID]:
        """Every key of the groups."""
        return frozenset(self.canonical)

    def best(self, connection: Connection, tables: AspectTables, rows: Sequence[RowMapping]) -> Iterator[RowMapping]:
        """Yield the rows to publish: all rows of keys without a group; of a group, one row per part of the aspect."""
        if not self.canonical:
            yield from rows
            return
        of_groups: dict[tuple[object, ...], list[RowMapping]] = {}
        for row in rows:
            canonical = self.canonical.get(row["key"])
            if canonical is None:
                yield row
            else:
                parts = (row[name] for name in tables.aspect.part)
                of_groups.setdefault((canonical, *parts), []).append(row)
        if of_groups:
            ranks = _ranks(connection, tables.name)
            for rivals in of_groups.values():
                yield min(rivals, key=lambda row: self._order(ranks, row))

    def _order(self, ranks: Mapping[str, int], row: RowMapping) -> tuple[int, float, str, bool, UUID]:
        key, occurred_at = row["key"], row["occurred_at"]
        assert isinstance(occurred_at, datetime)  # noqa: S101 - a claim's column
        return (
            ranks.get(row["source"], len(ranks)),
            -occurred_at.timestamp(),
            row["source"],
            key != self.canonical[key],
            key,
        )


def groups_of(connection: Connection, entity: str, keys: Sequence[UUID]) -> Groups:
    """Return the groups that contain any of the keys, with all their members."""
    mine = select(same_key.c.canonical).where(
        same_key.c.entity == entity, same_key.c.key == func.any(bindparam("keys", type_=ARRAY(Uuid)))
    )
    found = select(same_key.c.key, same_key.c.canonical).where(
        same_key.c.entity == entity, same_key.c.canonical.in_(mine)
    )
    return Groups({row.key: row.canonical for row in connection.execute(found, {"keys": list(keys)})})


def _ranks(connection: Connection, aspect: str) -> dict[str, int]:
    ranks = select(source.c.code, authority.c.rank).join_from(source, authority, authority.c.source == source.c.id)
    return {code: rank for code, rank in connection.execute(ranks.where(authority.c.aspect == aspect))}
