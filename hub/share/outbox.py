"""Read the audit log as an outbox: what changed since the stored position of each log partition.

Within a log partition the audit log is ordered by offset and written by one worker at a time, and
``log_partition.next_offset`` moves in the same transaction. So a reader that remembers (log partition, offset) never
misses a row.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    Delete,
    Row,
    Select,
    SmallInteger,
    Table,
    TableValuedAlias,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql.dml import Insert

from hub.model.declaration import Entity
from hub.model.entities import SUBJECTS
from hub.model.outcomes import Outcome
from hub.reconcile.shared.republish import JOB_LOG
from hub.topology import record_topics, subject_of
from hub.warehouse.tables.core import audit, dead_letter, log_partition, share_position, touched

if TYPE_CHECKING:
    import polars as pl

MOST_OFFSETS = 20_000
"""Maximum number of offsets of one log partition in one step."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a log partition that are durable and not yet published: ``first <= offset < end``."""

    log: int
    topic: str
    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What some spans changed: keys by entity name, and dead letters.

    Fields:
        rows: by name, each key once and in order, with the place of the newest row that changed or touched it: columns
            ``key``, ``log``, ``log_offset``.
    """

    rows: "Mapping[str, pl.DataFrame]" = field(default_factory=dict)
    dead_letters: Sequence[Row[tuple[object, ...]]] = ()

    @property
    def keys(self) -> dict[str, list[UUID]]:
        """The keys by name."""
        return {name: [UUID(bytes=key) for key in rows["key"]] for name, rows in self.rows.items()}

    def of_name(self, name: str) -> "pl.DataFrame":
        """Return the rows of a name."""
        return self.rows[name] if name in self.rows else no_rows()


def no_rows() -> "pl.DataFrame":
    """Return rows of no key."""
    import polars as pl  # heavy: commands that only ask how far share is do without it

    return pl.DataFrame(schema={"key": pl.Binary, "log": pl.Int64, "log_offset": pl.Int64})


def open_spans(connection: Connection) -> list[Span]:
    """Return what to publish next, oldest position first: of each log partition a step of bounded size.

    A place of the job log can have many keys, so a step takes one such place.
    """
    position = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)
    most = case((log_partition.c.topic == JOB_LOG, 1), else_=MOST_OFFSETS)
    rows = connection.execute(
        select(
            log_partition.c.id,
            log_partition.c.topic,
            log_partition.c.partition,
            position,
            func.least(log_partition.c.next_offset, position + most),
        )
        .join_from(log_partition, share_position, share_position.c.log == log_partition.c.id, isouter=True)
        .where(log_partition.c.next_offset > position)
    )
    return [Span(*row) for row in rows]


def changes_in(connection: Connection, spans: Sequence[Span]) -> Changes:
    """Return the keys whose records some spans may have changed, each once, and their dead letters."""
    import polars as pl  # heavy, as above

    from hub.warehouse.fetch import fetch_columns

    if not spans:
        return Changes()
    found = pl.DataFrame(
        {
            name: pl.Series(column)
            for name, column in fetch_columns(connection, changed_keys(), _parameters(spans)).items()
        }
    )
    newest = (
        found.sort("recorded_at", "log", "log_offset")
        .unique(["entity", "key"], keep="last")
        .sort("key")
        .partition_by("entity", as_dict=True)
    )
    letters, nothing = connection.execute(letters_within(), _parameters(spans)).all(), no_rows()
    rows = {str(name): some.select(nothing.columns).cast(nothing.schema) for (name,), some in newest.items()}
    return Changes(dict(sorted(rows.items())), letters)


@cache
def changed_keys() -> Select[Any]:
    """Select the keys that events within ``:logs``, ``:firsts``, ``:ends`` changed or touched, one row per key and log.

    Columns: entity, key, and of the newest row of that log: when it was written, the log's number, the offset.
    """
    spans = _spans()
    changed = (
        select(spans.c.entity, audit.c.key, audit.c.log, audit.c.log_offset, audit.c.recorded_at)
        .join_from(spans, audit, _within(audit, spans))
        .where(spans.c.entity.is_not(None), audit.c.outcome.in_([Outcome.APPLIED.value, Outcome.SUPERSEDED.value]))
    )
    noted = (
        select(touched.c.entity, touched.c.key, touched.c.log, touched.c.log_offset, touched.c.noted_at)
        .join_from(spans, touched, _within(touched, spans))
        .where(touched.c.entity.in_(list(record_topics())))
    )
    rows = union_all(changed, noted).subquery("row")
    newest = (
        func.max(rows.c.recorded_at).label("recorded_at"),
        rows.c.log,
        func.max(rows.c.log_offset).label("log_offset"),
    )
    return select(rows.c.entity, rows.c.key, *newest).group_by(rows.c.entity, rows.c.key, rows.c.log)


@cache
def letters_within() -> Select[Any]:
    """Select the dead letters of some spans, in the order of each log."""
    spans = _spans()
    return (
        select(dead_letter)
        .join_from(spans, dead_letter, _within(dead_letter, spans))
        .order_by(dead_letter.c.log, dead_letter.c.log_offset)
    )


def _spans() -> TableValuedAlias:
    """Return spans as parameters, so that a statement is compiled once for any number of spans."""
    return (
        func.unnest(
            bindparam("logs", type_=ARRAY(SmallInteger)),
            bindparam("firsts", type_=ARRAY(BigInteger)),
            bindparam("ends", type_=ARRAY(BigInteger)),
            bindparam("entities", type_=ARRAY(Text)),
        )
        .table_valued("log", "first", "end", "entity", name="span")
        .render_derived()
    )


def _parameters(spans: Sequence[Span]) -> dict[str, list[Any]]:
    return {
        "logs": [span.log for span in spans],
        "firsts": [span.first for span in spans],
        "ends": [span.end for span in spans],
        "entities": [published_entity(span.topic) for span in spans],
    }


def _within(table: Table, spans: TableValuedAlias) -> Any:
    place = table.c.log_offset
    return and_(table.c.log == spans.c.log, place >= spans.c.first, place < spans.c.end)


def published_entity(topic: str) -> str | None:
    """Return the entity that a topic's events change, if its records are published."""
    if topic == JOB_LOG:
        return None
    entity = entity_of(topic)
    return entity.name if entity.record_topic else None


def entity_of(topic: str) -> Entity:
    """Return the entity that an event topic feeds."""
    return SUBJECTS[subject_of(topic)][0]


def move_positions(connection: Connection, spans: Sequence[Span], blocked: Collection[str] = ()) -> None:
    """Store that some spans are published; never moves a position back. Keys noted for them are deleted.

    ``blocked``: names whose topic is blocked; their noted keys stay.
    """
    if not spans:
        return
    connection.execute(notes_done_with(), _parameters(spans) | {"blocked": list(blocked)})
    connection.execute(positions_moved(), _parameters(spans))


@cache
def notes_done_with() -> Delete:
    """Delete the keys noted within some spans, except those of ``:blocked`` names."""
    blocked = touched.c.entity == func.any(bindparam("blocked", type_=ARRAY(Text)))
    return delete(touched).where(_within(touched, _spans()), not_(blocked))


def drop_notes(connection: Connection, spans: Sequence[Span], names: Collection[str]) -> None:
    """Delete the keys of some names noted within some spans: they are published."""
    if spans:
        noted = touched.c.entity == func.any(bindparam("names", type_=ARRAY(Text)))
        dropping = delete(touched).where(_within(touched, _spans()), noted)
        connection.execute(dropping, _parameters(spans) | {"names": list(names)})


@cache
def positions_moved() -> Insert:
    """Store the ends of some spans as positions, unless the positions are already further."""
    spans = _spans()
    moving = insert(share_position).from_select(["log", "next_offset"], select(spans.c.log, spans.c.end))
    return moving.on_conflict_do_update(
        index_elements=["log"],
        set_={"next_offset": func.greatest(share_position.c.next_offset, moving.excluded.next_offset)},
    )


def unshared(connection: Connection) -> int:
    """Return how many durable offsets have not been published yet."""
    position = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)
    return int(
        connection.execute(
            select(func.coalesce(func.sum(log_partition.c.next_offset - position), 0)).join_from(
                log_partition, share_position, share_position.c.log == log_partition.c.id, isouter=True
            )
        ).scalar_one()
    )
