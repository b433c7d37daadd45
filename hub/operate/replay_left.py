"""What a switch leaves behind, told to the ledger: claims that are gone, and records that no longer wait.

Audit rows are not changed: an event that was applied was applied. What a replay took away stands beside them.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Text,
    and_,
    cast,
    delete,
    exists,
    insert,
    literal,
    null,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on

from hub.model.outcomes import Outcome, Reason
from hub.operate.replay_store import Replay
from hub.warehouse.entity_tables import AspectTables, all_aspect_tables
from hub.warehouse.replay_tables import replay_withdrawn
from hub.warehouse.table_kinds import in_schema
from hub.warehouse.tables import audit, batch, outcome_type, parked, release

_COUNTED = {"preserve_rowcount": True}


def note_left(connection: Connection, of: Replay) -> None:
    """Note in the shadow which keys and sources have no claim as new as the live one; before a switch."""
    noted = in_schema(replay_withdrawn, of.shadow)
    connection.execute(delete(noted))
    for tables in all_aspect_tables():
        connection.execute(_claims_left(tables, of, noted))


def _claims_left(tables: AspectTables, of: Replay, noted: Table) -> Insert:
    live, mine = tables.claim, in_schema(tables.claim, of.shadow)
    names = (*tables.identity, "source")
    as_new = exists().where(
        *(mine.c[name] == live.c[name] for name in names),
        tuple_(mine.c.source_epoch, mine.c.source_version) >= tuple_(live.c.source_epoch, live.c.source_version),
    )
    version = tuple_(live.c.source_epoch, live.c.source_version)
    rows = (
        select(
            literal(of.id),
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


def take_withdrawn(connection: Connection, of: Replay, going_back: bool) -> int:
    """Tell the ledger what the replay takes away, or that it is there again; return how many keys and sources."""
    if going_back:
        return connection.execute(delete(replay_withdrawn).where(replay_withdrawn.c.replay == of.id)).rowcount
    noted = in_schema(replay_withdrawn, of.shadow)
    names = [column.name for column in noted.columns]
    taking = insert(replay_withdrawn).from_select(names, select(*noted.columns))
    return connection.execute(taking, execution_options=_COUNTED).rowcount


def account_for_parked(connection: Connection, of: Replay) -> int:
    """Write what became of records that wait in the live warehouse and not in the shadow; return how many.

    As the shadow released or merged them; those it never read were left out. Empties the shadow's own account, which
    the tables that come into its schema would contradict.
    """
    number = connection.execute(
        insert(batch).values(worker=f"replay {of.id}", policy_digest=of.policy_digest).returning(batch.c.id)
    ).scalar_one()
    count = 0
    for rows in _accounts(of, number):
        names = [column.name for column in audit.columns if column.name != "recorded_at"]
        writing = insert(release).from_select(names, rows)
        count += connection.execute(writing, execution_options=_COUNTED).rowcount
    connection.execute(delete(in_schema(release, of.shadow)))
    return count


def _accounts(of: Replay, number: int) -> Iterable[Select[Any]]:
    """Yield the accounts in the order in which they go before each other."""
    for name in (release, audit):
        account = in_schema(name, of.shadow)
        columns: list[ColumnElement[Any]] = [
            account.c.log,
            account.c.log_offset,
            literal(number),
            cast(cast(account.c.outcome, Text), outcome_type),
            *(account.c[column] for column in _EVENT),
        ]
        same = and_(account.c.log == parked.c.log, account.c.log_offset == parked.c.log_offset)
        told = select(*columns).join_from(parked, account, same)
        yield told.where(_waits_no_more(of), cast(account.c.outcome, Text) != Outcome.PARKED.value)
    yield select(
        parked.c.log,
        parked.c.log_offset,
        literal(number),
        cast(literal(Outcome.REJECTED.value, Text), outcome_type),
        *(_left_out(column) for column in _EVENT),
    ).where(_waits_no_more(of))


_EVENT = (
    "source",
    "source_epoch",
    "source_version",
    "content_hash",
    "occurred_at",
    "key",
    "event_id",
    "reason",
    "detail",
    "flags",
)


def _left_out(column: str) -> ColumnElement[Any]:
    """What is known of a parked record that the shadow never read."""
    if column in ("source", "key"):
        found: ColumnElement[Any] = parked.c[column]
        return found
    return literal(Reason.LEFT_OUT.value, Text) if column == "reason" else cast(null(), audit.c[column].type)


def _waits_no_more(of: Replay) -> ColumnElement[bool]:
    """The live record waits, the shadow's does not, and nothing says yet what became of it."""
    mine = in_schema(parked, of.shadow)
    waits = exists().where(mine.c.log == parked.c.log, mine.c.log_offset == parked.c.log_offset)
    told = exists().where(release.c.log == parked.c.log, release.c.log_offset == parked.c.log_offset)
    was_audited = exists().where(
        audit.c.log == parked.c.log,
        audit.c.log_offset == parked.c.log_offset,
        audit.c.outcome == Outcome.PARKED.value,
    )
    return and_(~waits, ~told, was_audited)
