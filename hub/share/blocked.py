"""Blocked topics: each waits alone, and share goes on with all others.

A topic is blocked while it does not exist, while the broker does not accept records for it, or while its records cannot
be composed. Then ``missed_span`` stores, for each log partition, from which offset on the topic is behind; share's own
positions move on. Trials publish what the topic missed: parts of it, each in a transaction of its own. The last trial
reaches share's positions: the topic has everything and is no longer blocked. Each function runs in the caller's
transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hub.model.alerts import RECORD_TOPIC_BLOCKED
from hub.reconcile.shared.republish import JOB_LOG
from hub.share.outbox import MOST_OFFSETS, Span, drop_notes
from hub.share.send.outgoing import Refused
from hub.topology import shared_topics
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.tables.core import log_partition, share_position
from hub.warehouse.tables.share import blocked_topic, missed_span

if TYPE_CHECKING:  # columns: commands that ask the warehouse only do without them
    from hub.share.send.parcel import Parcel

FIRST_S, MOST_S = 5.0, 300.0
"""Pause before the next trial of a topic that accepted nothing. It doubles each time up to the maximum."""

NOT_THERE = "not on Kafka, or share may not see it; `hub topics ensure --execute` makes what is missing"


@dataclass(frozen=True, slots=True)
class BlockedTopic:
    """A topic that share cannot publish to.

    Fields:
        name: as in ``hub.topology.shared_topics``.
        why: the reason, with lines of code if it is a bug; no value.
        since: when it was blocked.
        tried_at, tries: time of the last trial, and number of trials; 0: the topic does not exist.
    """

    topic: str
    name: str
    why: str
    since: datetime
    tried_at: datetime
    tries: int

    def is_due(self, now: datetime, began: datetime) -> bool:
        """Whether to try it now: after its pause, or at once if it did not exist or share started later."""
        pause_s = min(FIRST_S * 2.0 ** min(self.tries - 1, 30), MOST_S)
        return self.tries == 0 or self.tried_at < began or now - self.tried_at >= timedelta(seconds=pause_s)


@dataclass(slots=True)
class Trial:
    """A part of what a topic missed, published in a transaction of its own.

    Fields:
        name: as in ``hub.topology.shared_topics``.
        spans: of the missed part.
        is_last: with the new changes of this step, the topic has everything.
        outgoing, refused: as in a step.
    """

    topic: str
    name: str
    spans: Sequence[Span]
    is_last: bool
    outgoing: "list[Parcel]" = field(default_factory=list)
    refused: Refused = field(default_factory=list)


def read_blocked(connection: Connection) -> dict[str, BlockedTopic]:
    """Return the blocked topics, by topic."""
    names = {topic: name for name, topic in shared_topics().items()}
    rows = connection.execute(select(blocked_topic).order_by(blocked_topic.c.since, blocked_topic.c.topic)).mappings()
    return {row["topic"]: BlockedTopic(name=names.get(row["topic"], row["topic"]), **row) for row in rows}


def trials_due(
    connection: Connection, blocked: Mapping[str, BlockedTopic], missing: Collection[str], began: datetime
) -> list[Trial]:
    """Return the next missed part of each topic that is to be tried now.

    Args:
        connection: in a transaction.
        blocked: from ``read_blocked``.
        missing: topics that do not exist and so cannot be tried.
        began: when share started.
    """
    now = connection.execute(select(func.now())).scalar_one()
    due = [one for one in blocked.values() if one.topic not in missing and one.is_due(now, began)]
    return [_trial(connection, one) for one in due]


def _trial(connection: Connection, one: BlockedTopic) -> Trial:
    most = case((log_partition.c.topic == JOB_LOG, 1), else_=MOST_OFFSETS)
    position = func.coalesce(share_position.c.next_offset, log_partition.c.first_offset)
    first, end = missed_span.c.next_offset, func.least(missed_span.c.next_offset + most, position)
    rows = connection.execute(
        select(missed_span.c.log, log_partition.c.topic, log_partition.c.partition, first, end, position)
        .join_from(missed_span, log_partition, log_partition.c.id == missed_span.c.log)
        .join(share_position, share_position.c.log == missed_span.c.log, isouter=True)
        .where(missed_span.c.topic == one.topic)
        .order_by(missed_span.c.log)
    ).all()
    spans = [span for span in (Span(*row[:5]) for row in rows) if span.end > span.first]
    return Trial(one.topic, one.name, spans, all(row[4] == row[5] for row in rows))


def store_block(connection: Connection, topic: str, spans: Sequence[Span], why: str | None, is_tried: bool) -> None:
    """Store that a topic lacks the content of some spans.

    Args:
        connection: in the transaction that moves share's positions past the spans.
        topic: the topic.
        spans: of the step.
        why: the reason; None: the reason already stored.
        is_tried: whether this step tried to publish to the topic.
    """
    if why is not None:
        storing = insert(blocked_topic).values(topic=topic, why=why, tries=int(is_tried))
        tried = {"tried_at": func.now(), "tries": blocked_topic.c.tries + 1} if is_tried else {"tries": 0}
        connection.execute(
            storing.on_conflict_do_update(index_elements=["topic"], set_={"why": storing.excluded.why} | tried)
        )
    if spans:
        rows = [{"topic": topic, "log": span.log, "next_offset": span.first} for span in spans]
        connection.execute(insert(missed_span).on_conflict_do_nothing(), rows)


def store_trial(connection: Connection, trial: Trial) -> None:
    """Store that a trial was published; after the last one the topic is no longer blocked."""
    drop_notes(connection, trial.spans, [trial.name])
    if trial.is_last:
        connection.execute(delete(missed_span).where(missed_span.c.topic == trial.topic))
        connection.execute(delete(blocked_topic).where(blocked_topic.c.topic == trial.topic))
        return
    for span in trial.spans:
        mine = (missed_span.c.topic == trial.topic, missed_span.c.log == span.log)
        connection.execute(update(missed_span).where(*mine).values(next_offset=span.end))


def settle_blocked_alerts(connection: Connection) -> dict[str, BlockedTopic]:
    """Open an alert for each blocked topic, and close the others; return the blocked topics."""
    blocked = read_blocked(connection)
    for one in blocked.values():
        raise_alert(connection, RECORD_TOPIC_BLOCKED, one.topic, words_of(one))
    clear_alert(connection, RECORD_TOPIC_BLOCKED, but=list(blocked))
    return blocked


def words_of(one: BlockedTopic) -> str:
    """Return since when and why a topic is blocked."""
    tried = f", tried {one.tries:,} times" if one.tries else ""
    return f"blocked since {one.since:%Y-%m-%d %H:%M:%S} UTC{tried}: {one.why}"
