"""What a switch removes, recorded for the ledger: claims that are gone, and records that no longer wait.

Audit rows are not changed: an event that was applied was applied. What a replay removed is recorded next to them.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Table,
    Text,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on

from hub.model.errors import HubError
from hub.operate.replay.store import Replay
from hub.warehouse.tables.core import audit, log_partition, parked, release
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables
from hub.warehouse.tables.kinds import in_schema, of_shadow
from hub.warehouse.tables.replays import replay_left, replay_withdrawn

_COUNTED = {"preserve_rowcount": True}
_MOST_NAMED = 5


def note_left(connection: Connection, replay: Replay) -> None:
    """Record in the shadow, before a switch, which keys and sources have no claim as new as the live one."""
    noted = in_schema(replay_withdrawn, replay.shadow)
    connection.execute(delete(noted))
    for tables in all_aspect_tables():
        connection.execute(_claims_left(tables, replay, noted))


def _claims_left(tables: AspectTables, replay: Replay, noted: Table) -> Insert:
    live, mine = tables.claim, of_shadow(tables.claim, replay.shadow)
    names = (*tables.identity, "source")
    as_new = exists().where(
        *(mine.c[name] == live.c[name] for name in names),
        tuple_(mine.c.source_epoch, mine.c.source_version) >= tuple_(live.c.source_epoch, live.c.source_version),
    )
    version = tuple_(live.c.source_epoch, live.c.source_version)
    rows = (
        select(
            literal(replay.id),
            literal(tables.aspect.subject, Text),
            live.c.key,
            live.c.source,
            live.c.source_epoch,
            live.c.source_version,
        )
        .where(~as_new)
        .ext(distinct_on(live.c.key, live.c.source))
        .order_by(live.c.key, live.c.source, version.desc())
    )
    return insert(noted).from_select([column.name for column in noted.columns], rows)


def _caught_up_since(tables: AspectTables, replay: Replay) -> Delete:
    """Delete notes made before the shadow had read what the live warehouse had read."""
    noted, claim = in_schema(replay_withdrawn, replay.shadow), in_schema(tables.claim, replay.shadow)
    as_new = exists().where(
        claim.c.key == noted.c.key,
        claim.c.source == noted.c.source,
        tuple_(claim.c.source_epoch, claim.c.source_version) >= tuple_(noted.c.source_epoch, noted.c.source_version),
    )
    return delete(noted).where(noted.c.subject == tables.aspect.subject, as_new)


def take_withdrawn(connection: Connection, replay: Replay, going_back: bool) -> int:
    """Record for the ledger what the replay removes, or that it exists again; return how many keys and sources."""
    if going_back:
        return connection.execute(delete(replay_withdrawn).where(replay_withdrawn.c.replay == replay.id)).rowcount
    for tables in all_aspect_tables():
        connection.execute(_caught_up_since(tables, replay))
    noted = of_shadow(replay_withdrawn, replay.shadow)
    names = [column.name for column in noted.columns]
    taking = insert(replay_withdrawn).from_select(names, select(*noted.columns))
    return connection.execute(taking, execution_options=_COUNTED).rowcount


def account_for_parked(connection: Connection, replay: Replay) -> int:
    """Record what became of records that wait in the live warehouse but not in the shadow; return how many.

    They became what they became in the shadow; records that the shadow never read were left out.

    Raises:
        HubError: released records would wait again, because what they name would no longer be known.
    """
    _check_released(connection, replay)
    connection.execute(delete(replay_left).where(replay_left.c.replay == replay.id))
    mine, released, audited = (of_shadow(table, replay.shadow) for table in (parked, release, audit))
    waits = exists().where(*_same_place(mine, parked))
    told = exists().where(*_same_place(release, parked))
    became = (
        select(cast(account.c.outcome, Text)).where(*_same_place(account, parked)).correlate(parked).scalar_subquery()
        for account in (released, audited)
    )
    rows = select(parked.c.log, parked.c.log_offset, literal(replay.id), func.coalesce(*became)).where(~waits, ~told)
    noting = insert(replay_left).from_select(["log", "log_offset", "replay", "outcome"], rows)
    count = connection.execute(noting, execution_options=_COUNTED).rowcount
    # The records that come into the shadow's schema have their own accounts.
    connection.execute(delete(in_schema(release, replay.shadow)))
    return count


def _same_place(one: Any, other: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return one.c.log == other.c.log, one.c.log_offset == other.c.log_offset


def _check_released(connection: Connection, replay: Replay) -> None:
    """Refuse to release a record twice: its account in the audit log is written and stays."""
    mine = of_shadow(parked, replay.shadow)
    told = exists().where(*_same_place(release, mine))
    names = (log_partition.c.topic, log_partition.c.partition, mine.c.log_offset, mine.c.waits_for)
    again = connection.execute(
        select(*names).join(log_partition, log_partition.c.id == mine.c.log).where(told).limit(_MOST_NAMED)
    ).all()
    if again:
        places = ", ".join(f"{row.topic}/{row.partition}/{row.log_offset}" for row in again)
        waited = ", ".join(sorted({row.waits_for for row in again if row.waits_for})) or "an earlier one of their key"
        raise HubError(
            f"records that were released would wait again ({places}), for {waited}: "
            "publish what is missing, or replay what names it too"
        )
