"""Store durably what share set aside, with one alert per topic; close it when it is published later."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Row,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from hub.model.alerts import RECORD_SET_ASIDE
from hub.share.send.outgoing import Refused
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.tables.core import dead_letter, log_partition
from hub.warehouse.tables.share import set_aside

if TYPE_CHECKING:  # columns: commands that ask the warehouse only do without them
    from hub.share.send.parcel import Parcel

TRIED_AT_ONCE = 2_000
"""Maximum number of records that are tried again in one step."""
_NAMED_IN_ALERT = 3


@dataclass(frozen=True, slots=True)
class Aside:
    """One record that share could not publish.

    Fields:
        topic: its destination.
        item: its key, or the place of a dead letter.
        key: of a golden record.
        reason, detail: why (hub.model.set_aside).
        value_bytes: its size, if that is the reason.
        since: since when the portal has an older state, or none.
        tried_at, tries: when share tried it last, and how often.
        closed_at: when it was published later; None: it still waits.
    """

    topic: str
    item: str
    key: UUID | None
    reason: str
    detail: str
    value_bytes: int | None
    since: datetime
    tried_at: datetime
    tries: int
    closed_at: datetime | None


def note_refused(connection: Connection, refused: Refused) -> None:
    """Record refused records as set aside, in the transaction that moves the positions.

    A record that was set aside before keeps its ``since``.
    """
    if not refused:
        return
    rows = [
        {
            "topic": item.topic,
            "item": item.item,
            "key": item.of_key,
            "reason": why.reason.value,
            "detail": why.detail,
            "value_bytes": why.value_bytes,
        }
        for item, why in refused
    ]
    noting = insert(set_aside)
    is_new = set_aside.c.closed_at.is_not(None)
    noting = noting.on_conflict_do_update(
        index_elements=["topic", "item"],
        set_={name: noting.excluded[name] for name in ("reason", "detail", "value_bytes")}
        | {
            "tried_at": func.now(),
            "tries": case((is_new, 1), else_=set_aside.c.tries + 1),
            "since": case((is_new, func.now()), else_=set_aside.c.since),
            "closed_at": None,
        },
    )
    connection.execute(noting, rows)


def close_published(connection: Connection, outgoing: "Sequence[Parcel]", refused: Refused) -> int:
    """Close what was set aside and is published now; return how many records."""
    still = {(item.topic, item.item) for item, _ in refused}
    sent = [(parcel.topic, item) for parcel in outgoing for item in parcel.items()]
    done = [one for one in sent if one not in still]
    parameters = {"topics": [topic for topic, _ in done], "items": [item for _, item in done]}
    return connection.execute(_closed(), parameters, execution_options={"preserve_rowcount": True}).rowcount


@cache
def _closed() -> Update:
    done = (
        func.unnest(bindparam("topics", type_=ARRAY(Text)), bindparam("items", type_=ARRAY(Text)))
        .table_valued("topic", "item", name="done")
        .render_derived()
    )
    return (
        update(set_aside)
        .values(closed_at=func.now())
        .where(set_aside.c.closed_at.is_(None), set_aside.c.topic == done.c.topic, set_aside.c.item == done.c.item)
    )


def close_items(connection: Connection, topic: str, items: Sequence[str]) -> None:
    """Close what no longer exists and so cannot be published."""
    connection.execute(_closed(), {"topics": [topic] * len(items), "items": list(items)})


def asides_to_try(connection: Connection, before: datetime, closed: Collection[str] = ()) -> list[Aside]:
    """Return some of the records that are set aside and were last tried before a time, except of ``closed`` topics."""
    found = _asides(None, False).where(set_aside.c.tried_at < before, set_aside.c.topic.not_in(list(closed)))
    found = found.limit(TRIED_AT_ONCE)
    return [Aside(**row) for row in connection.execute(found).mappings()]


def letters_at(connection: Connection, places: Sequence[str]) -> dict[str, Row[Any]]:
    """Return dead letters by their places (``topic/partition/offset``), with ``topic`` and ``partition``."""
    if not places:
        return {}
    parts = [place.rsplit("/", 2) for place in places]
    wanted = (
        func.unnest(
            bindparam("topics", type_=ARRAY(Text)),
            bindparam("partitions", type_=ARRAY(Integer)),
            bindparam("offsets", type_=ARRAY(BigInteger)),
        )
        .table_valued("topic", "partition", "log_offset", name="wanted")
        .render_derived()
    )
    found = (
        select(dead_letter, log_partition.c.topic, log_partition.c.partition)
        .join_from(
            wanted,
            log_partition,
            and_(log_partition.c.topic == wanted.c.topic, log_partition.c.partition == wanted.c.partition),
        )
        .join(
            dead_letter,
            and_(dead_letter.c.log == log_partition.c.id, dead_letter.c.log_offset == wanted.c.log_offset),
        )
    )
    parameters = {
        "topics": [topic for topic, _, _ in parts],
        "partitions": [int(partition) for _, partition, _ in parts],
        "offsets": [int(log_offset) for _, _, log_offset in parts],
    }
    rows = connection.execute(found, parameters)
    return {f"{row.topic}/{row.partition}/{row.log_offset}": row for row in rows}


def settle_alert(connection: Connection) -> bool:
    """Open an alert for each topic with records set aside, and close the others; return whether any alert is open."""
    counts = count_asides(connection)
    for topic, count in counts.items():
        raise_alert(connection, RECORD_SET_ASIDE, topic, _words(count, read_asides(connection, topic, _NAMED_IN_ALERT)))
    clear_alert(connection, RECORD_SET_ASIDE, but=list(counts))
    return bool(counts)


def _words(count: int, first: Sequence[Aside]) -> str:
    named = ", ".join(f"{one.item} ({one.reason})" for one in first)
    more = f" and {count - len(first):,} more" if count > len(first) else ""
    return f"{count:,} set aside since {first[0].since:%Y-%m-%d %H:%M:%S} UTC: {named}{more}"


def read_asides(
    connection: Connection, topic: str | None = None, most: int | None = None, with_closed: bool = False
) -> list[Aside]:
    """Return what is set aside, oldest first; ``with_closed``: also what was set aside before."""
    return [Aside(**row) for row in connection.execute(_asides(topic, with_closed).limit(most)).mappings()]


def _asides(topic: str | None, with_closed: bool) -> Select[Any]:
    found = select(set_aside).order_by(set_aside.c.since, set_aside.c.topic, set_aside.c.item)
    if topic is not None:
        found = found.where(set_aside.c.topic == topic)
    return found if with_closed else found.where(set_aside.c.closed_at.is_(None))


def count_asides(connection: Connection) -> dict[str, int]:
    """Return how many records are set aside now, by topic."""
    counted = select(set_aside.c.topic, func.count()).where(set_aside.c.closed_at.is_(None))
    return {topic: int(count) for topic, count in connection.execute(counted.group_by(set_aside.c.topic))}
