"""Headers of a record: when share read what it publishes, and which row of the audit log changed it last.

They are headers and not fields, so a repeated step or a record that is published again has the same value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from hub.codec.columns import BYTES
from hub.share.columns.revision import TEXT, joined
from hub.share.groups import groups_of
from hub.share.outbox import Changes, Span
from hub.share.send.outgoing import Headers
from hub.topology import HEADER_PUBLISHED_AT


@dataclass(frozen=True, slots=True)
class Stamp:
    """The headers of one step.

    Fields:
        published: headers of every record of the step.
        changes: what the step's spans changed.
        logs: ``topic/partition`` of each log partition of the spans, by its number.
    """

    published: Headers
    changes: Changes = field(default_factory=Changes)
    logs: Mapping[int, str] = field(default_factory=dict)

    def positions(self, connection: Connection, name: str, keys: pa.Array) -> pa.Array:
        """Return for each key of a name the header that says which row changed it, as bytes.

        A key that no row changed has none: it is published again as it was. A key of a group (keys of one thing) has
        the newest position in the group, since its record is made from all members.
        """
        known = self.changes.of_name(name)
        if known.is_empty():
            return pa.nulls(len(keys), BYTES)
        places = _places(keys, known)
        if places["log"].null_count():
            places = _with_groups(connection, name, places, known)
        logs, names = pa.array(list(self.logs), pa.int64()), pa.array(list(self.logs.values()), TEXT)
        topics = names.take(pc.index_in(places["log"].to_arrow(), value_set=logs))
        return joined(topics, "/", places["log_offset"].to_arrow().cast(TEXT)).cast(BYTES)


def _places(keys: pa.Array, known: pl.DataFrame) -> pl.DataFrame:
    """Return for each key its row of what is known; nulls without one."""
    rows = pc.index_in(keys, value_set=known["key"].to_arrow(compat_level=pl.CompatLevel.oldest()))
    found = {name: pl.Series(known[name].to_arrow().take(rows)) for name in ("log", "log_offset")}
    return pl.DataFrame({"key": pl.Series(keys), **found})


def _with_groups(connection: Connection, name: str, places: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Fill the places of keys that have none by the newest place in their groups."""
    others = places.filter(pl.col("log").is_null())["key"].to_arrow(compat_level=pl.CompatLevel.oldest())
    groups = groups_of(connection, name, others)
    if groups.is_empty:
        return places
    members = pl.DataFrame({"key": pl.Series(groups.members), "canonical": pl.Series(groups.canonical)})
    newest = members.join(known, on="key").sort("log", "log_offset").unique("canonical", keep="last").drop("key")
    of_group = pl.concat([members.select("key", "canonical"), members.select(key="canonical", canonical="canonical")])
    found = of_group.unique("key").join(newest, on="canonical").drop("canonical")
    filled = places.join(found, on="key", how="left", maintain_order="left", suffix="_of_group")
    return filled.select(
        "key", *(pl.coalesce(column, f"{column}_of_group").alias(column) for column in ("log", "log_offset"))
    )


def stamp_of(at: datetime, changes: Changes, spans: Sequence[Span]) -> Stamp:
    """Return the stamp of a step that reads the warehouse at or after a time.

    Args:
        at: by the warehouse's clock.
        changes: of the spans.
        spans: of the audit log.
    """
    text = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    logs = {span.log: f"{span.topic}/{span.partition}" for span in spans}
    return Stamp(((HEADER_PUBLISHED_AT, text.encode()),), changes, logs)
