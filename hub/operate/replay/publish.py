"""Which published records a replay changes: exactly those that share would compose differently.

Keys whose rows differ are found by statements on whole sets; their records are then composed in both warehouses and
compared. Events that arrive meanwhile are shared by their own audit rows, independently of what is noted here.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    Subquery,
    Table,
    and_,
    delete,
    insert,
    literal,
    select,
    union,
    union_all,
)
from sqlalchemy.dialects import postgresql

from hub.model.decisions import SUBJECT as DECISION
from hub.model.declaration import Derived, Entity
from hub.model.entities import ENTITIES
from hub.operate.replay.ground import Ground
from hub.operate.replay.store import Replay
from hub.reconcile.shared.republish import job_place
from hub.share.compose import Composer
from hub.share.flags import FlagComposer
from hub.topology import FLAG_RECORDS
from hub.warehouse.tables.core import same_key, touched
from hub.warehouse.tables.dossiers import dossier_deadline
from hub.warehouse.tables.entities import AspectTables, aspect_tables
from hub.warehouse.tables.kinds import in_schema, of_shadow
from hub.warehouse.tables.people import flag
from hub.warehouse.tables.units import unit_now

_AT_ONCE = 2_000
_NOT_SHOWN = frozenset({"contested", "event_id", "recorded_at", "source_agency"})
"""Columns that are in no published record."""
_TABLES = {Derived.HANDLING: (dossier_deadline,)}
"""Tables of what is derived from claims and is part of a record, by key."""
_NOTED = (0, 0)
"""The place where the shadow keeps what is to be published: no log partition has this number."""


def note_differing(ground: Ground, replay: Replay) -> int:
    """Note in the shadow the keys whose published record the switch would change; return how many."""
    noted = in_schema(touched, replay.shadow)
    count = 0
    with ground.live.begin() as live, ground.shadow(replay.shadow) as engine, engine.connect() as shadow:
        live.execute(delete(noted).where(noted.c.log == _NOTED[0], noted.c.log_offset == _NOTED[1]))
        for name, composer, candidates in _published(ground, replay):
            keys = live.execute(candidates).scalars().all()
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                before, after = composer.compose(live, some), composer.compose(shadow, some)
                changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
                count += _note(live, noted, name, changed)
    return count


def _note(connection: Connection, noted: Table, entity: str, keys: Sequence[UUID]) -> int:
    if not keys:
        return 0
    log, log_offset = _NOTED
    rows = [{"log": log, "log_offset": log_offset, "entity": entity, "key": key} for key in keys]
    connection.execute(postgresql.insert(noted).on_conflict_do_nothing(), rows)
    return len(rows)


def take_differing(connection: Connection, replay: Replay) -> int:
    """Note the same keys for share, in the transaction of the switch; return how many."""
    noted = of_shadow(touched, replay.shadow)
    log, log_offset = job_place(connection)
    rows = select(literal(log), literal(log_offset), noted.c.entity, noted.c.key).where(
        noted.c.log == _NOTED[0], noted.c.log_offset == _NOTED[1]
    )
    taking = insert(touched).from_select(["log", "log_offset", "entity", "key"], rows)
    return connection.execute(taking, execution_options={"preserve_rowcount": True}).rowcount


def _published(ground: Ground, replay: Replay) -> Iterator[tuple[str, Composer | FlagComposer, Select[UUID]]]:
    for entity in ENTITIES:
        if entity.record_topic:
            yield entity.name, Composer(entity, ground.key_secret), _keys_that_may_differ(entity, replay.shadow)
    yield FLAG_RECORDS, FlagComposer(ground.key_secret), _flags_apart(replay.shadow)


def _keys_that_may_differ(entity: Entity, shadow: str) -> Select[UUID]:
    """Return the keys of an entity for which a row behind the record exists in one warehouse and not in the other."""
    aspects = [aspect_tables(aspect.subject) for aspect in entity.aspects]
    found = [
        _keys_of_rows(table, "key", shadow)
        for tables in aspects
        for table in (tables.record, tables.claim, tables.sensitive)
        if table is not None
    ]
    found.append(_keys_of_rows(same_key, "key", shadow))
    found.append(_keys_of_rows(aspect_tables(DECISION).claim, "subject_key", shadow))
    found += [_keys_of_rows(table, "key", shadow) for derived in entity.derived for table in _TABLES[derived]]
    found += [_keys_in_units(tables, unit.code, shadow) for tables in aspects for unit in tables.aspect.units]
    each = union(*found).subquery()
    return select(each.c[0]).order_by(each.c[0])


def _keys_of_rows(table: Table, name: str, shadow: str) -> Select[UUID]:
    """Return the keys of a table's rows that exist in one warehouse and not in the other."""
    rows = _rows_apart(table, [column.name for column in table.columns if column.name not in _NOT_SHOWN], shadow)
    return select(rows.c[name].label("key")).distinct().order_by("key")


def _flags_apart(shadow: str) -> Select[UUID]:
    """Return the flags that are open in one warehouse and not in the other."""
    mine = of_shadow(flag, shadow)
    live, replayed = (select(of.c.id).where(of.c.closed_at.is_(None)) for of in (flag, mine))
    apart = union_all(live.except_(replayed), replayed.except_(live)).subquery()
    return select(apart.c[0]).order_by(apart.c[0])


def _rows_apart(table: Table, names: Sequence[str], shadow: str) -> Subquery:
    mine = of_shadow(table, shadow)
    live, replayed = (select(*(of.c[name] for name in names)) for of in (table, mine))
    return union_all(live.except_(replayed), replayed.except_(live)).subquery()


def _keys_in_units(tables: AspectTables, code: str, shadow: str) -> Select[UUID]:
    """Return the keys of claims with a unit code that means something else in the other warehouse."""
    claim = tables.claim
    apart = _rows_apart(unit_now, [column.name for column in unit_now.columns], shadow)
    named = select(apart.c.scheme, apart.c.code).distinct().subquery()
    return select(claim.c.key).join(named, and_(claim.c.unit_scheme == named.c.scheme, claim.c[code] == named.c.code))
