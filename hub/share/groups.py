"""Keys of one thing, as share publishes them: one record per group, each aspect from the member whose claim wins.

The winner is chosen as among the sources of one key: by rank, then the later ``occurred_at``, then the source's code.
Of two claims of one source, the one under the group's published key wins (hub.reconcile.records, links).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.warehouse.fetch import fetch_columns
from hub.warehouse.tables.core import authority, same_key, source
from hub.warehouse.tables.entities import AspectTables

_KEYS = bindparam("keys", type_=ARRAY(Uuid))


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups to which some keys belong: each member, and the key under which its group is published."""

    members: pa.Array
    canonical: pa.Array

    @property
    def is_empty(self) -> bool:
        """Whether no key is in a group."""
        return len(self.members) == 0

    def with_all(self, keys: pa.Array) -> pa.Array:
        """Return keys with all keys of their groups, each once and in order."""
        every = keys if self.is_empty else pa.concat_arrays([keys, self.members, self.canonical])
        return pl.Series(every).unique().sort().to_arrow(compat_level=pl.CompatLevel.oldest())

    def published_under(self, keys: pa.Array) -> pa.Array:
        """Return the key under which each key is published: its group's, or itself."""
        if self.is_empty:
            return keys
        return pc.coalesce(self.canonical.take(pc.index_in(keys, value_set=self.members)), keys)

    def best(self, connection: Connection, tables: AspectTables, columns: Mapping[str, pa.Array]) -> pa.Array | None:
        """Return the places of the rows to publish; None: all of them.

        All rows of keys without a group; of a group, one row per part of the aspect.
        """
        if self.is_empty or not pc.any(pc.is_in(columns["key"], value_set=self.members)).as_py():
            return None
        named = {name: pl.Series(columns[name]) for name in ("key", "occurred_at", "source", *tables.aspect.part)}
        same = pl.DataFrame({"key": pl.Series(self.members), "canonical": pl.Series(self.canonical)})
        rows = pl.DataFrame(named).with_row_index("row").join(same, on="key", how="left", maintain_order="left")
        grouped = rows.filter(pl.col("canonical").is_not_null())
        rivals = ("canonical", *tables.aspect.part)
        ranks = _ranks(connection, tables.name)
        won = (
            grouped.with_columns(
                rank=pl.col("source").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int64),
                is_other=pl.col("key") != pl.col("canonical"),
                first=pl.col("row").min().over(rivals),
            )
            .sort("rank", "occurred_at", "source", "is_other", "key", descending=[False, True, False, False, False])
            .unique(rivals, keep="first", maintain_order=True)
            .sort("first")
        )
        alone = rows.filter(pl.col("canonical").is_null())
        return pl.concat([alone["row"], won["row"]]).cast(pl.Int64).to_arrow()


def groups_of(connection: Connection, entity: str, keys: pa.Array) -> Groups:
    """Return the groups that contain any of the keys, with all their members."""
    mine = select(same_key.c.canonical).where(
        same_key.c.entity == bindparam("entity"), same_key.c.key == func.any(_KEYS)
    )
    found = select(same_key.c.key, same_key.c.canonical).where(
        same_key.c.entity == bindparam("entity"), same_key.c.canonical.in_(mine)
    )
    columns = fetch_columns(connection, found, {"keys": keys, "entity": entity})
    return Groups(columns["key"], columns["canonical"])


def _ranks(connection: Connection, aspect: str) -> dict[str, int]:
    ranks = select(source.c.code, authority.c.rank).join_from(source, authority, authority.c.source == source.c.id)
    return {code: rank for code, rank in connection.execute(ranks.where(authority.c.aspect == aspect))}
