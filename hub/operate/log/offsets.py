"""The hub's place in the log: stored offsets next to the log's own bounds and the group's offsets on Kafka."""

from dataclasses import dataclass

from kafka.errors import KafkaError
from sqlalchemy import Engine

from hub.log.clients import log_admin
from hub.log.places import Partition
from hub.operate.log.ends import LogEnd, read_log_ends
from hub.reconcile.ledger.accounts import read_accounts
from hub.warehouse.database import translated_errors


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """One log partition: the stored offset (the truth), the group's offset for lag tools, the log; None: not known."""

    topic: str
    partition: int
    stored: int
    group: int | None
    log: LogEnd | None


def read_offsets(engine: Engine, bootstrap: str, group: str, topic: str | None = None) -> list[StoredOffset]:
    """Return every stored offset, or those of one topic.

    Raises:
        UnreachableError: Kafka or the database does not answer.
    """
    with translated_errors("reading the stored offsets"), engine.connect() as connection:
        accounts = [account for account in read_accounts(connection) if topic in (None, account.topic)]
    ends = read_log_ends(bootstrap, {(one.topic, one.partition): one.next_offset for one in accounts})
    told = _group_offsets(bootstrap, group)
    return [
        StoredOffset(
            one.topic,
            one.partition,
            one.next_offset,
            told.get((one.topic, one.partition)),
            ends.get((one.topic, one.partition)),
        )
        for one in accounts
    ]


def _group_offsets(bootstrap: str, group: str) -> dict[Partition, int]:
    """Return what Kafka holds for the workers' group; nothing for a group that it does not know."""
    with log_admin(bootstrap) as client:
        try:
            told = client.list_group_offsets(group).get(group, {})
        except KafkaError:
            return {}
    return {(place.topic, place.partition): known.offset for place, known in told.items() if known.offset >= 0}
