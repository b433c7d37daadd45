"""What a replay would change: rows added, changed and removed, by table and field, with samples.

The database compares whole sets; only counts and samples leave it. It leaves out what no reader of the warehouse
sees: the merge's own marks, numbers, and times of the hub's own clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, and_, func, not_, or_, select

from hub.codec.decode import MASK
from hub.codec.fields import DataClass
from hub.model.replay_state import ReplayState
from hub.operate.replay.ground import Ground
from hub.operate.replay.run import behind_live
from hub.operate.replay.store import check_state, replay_numbered
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.core import source
from hub.warehouse.tables.entities import AspectTables, all_aspect_tables
from hub.warehouse.tables.kinds import TableKind, of_shadow, tables_of

_UNSEEN = frozenset(
    {"contested", "event_id", "recorded_at", "source_agency", "content_hash", "id", "opened_at", "closed_at"}
)
_WAITING = frozenset({"parked_at", "record_key", "record_value"})
_SHOWN_AS_IT_IS = frozenset({DataClass.PUBLIC, DataClass.INTERNAL})


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that differs: what identifies it, and the fields before and after; values are never in a repr.

    ``before`` is None for an added row, ``after`` for a removed one.
    """

    change: str
    row: Mapping[str, Any] = field(repr=False)
    before: Mapping[str, Any] | None = field(repr=False)
    after: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TableDiff:
    """How one table differs. ``fields``: in how many changed rows each field differs."""

    table: str
    added: int
    changed: int
    removed: int
    fields: Mapping[str, int]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """What a switch would change. ``behind``: number of records that only the live warehouse has read so far."""

    id: int
    state: ReplayState
    behind: int
    tables: tuple[TableDiff, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the difference as JSON values, except for values that ``default=str`` must convert."""
        return asdict(self)


def diff(ground: Ground, number: int, samples: int = 3, unmask: bool = False) -> Diff:
    """Compare a shadow with the live warehouse.

    Args:
        ground: where the replay works.
        number: of the replay.
        samples: most rows to show of each table and kind of change.
        unmask: show personal and sensitive values; the caller records who asked and why.

    Raises:
        ConfigError: there is no such replay, or it has no shadow to compare.
    """
    with translated_errors("comparing"), ground.live.connect() as connection:
        of = replay_numbered(connection, number)
        check_state(of, "comparing it", ReplayState.READY, ReplayState.SWITCHED, ReplayState.UNDONE)
        codes: dict[int, str] = {row.id: row.code for row in connection.execute(select(source.c.id, source.c.code))}
        aspects = {table.name: tables for tables in all_aspect_tables() for table in _of_aspect(tables)}
        found = []
        for table in tables_of(TableKind.STATE):
            pair = _Pair(table, of_shadow(table, of.shadow), _names(table))
            one = _diff_of(connection, pair)
            if one.added or one.changed or one.removed:
                hidden = frozenset() if unmask else _hidden(table, aspects.get(table.name))
                rows = tuple(_samples(connection, pair, samples, (codes, hidden)))
                found.append(TableDiff(one.table, one.added, one.changed, one.removed, one.fields, rows))
        return Diff(number, of.state, behind_live(connection, number), tuple(found))


def _of_aspect(tables: AspectTables) -> list[Table]:
    return [table for table in (tables.claim, tables.record, tables.sensitive, tables.history) if table is not None]


class _Pair:
    """A table in both schemas, the columns that identify a row, and the columns that are compared."""

    def __init__(self, live: Table, shadow: FromClause, names: tuple[str, ...]) -> None:
        self.table = live.name
        self.names = names
        self.content = tuple(column.name for column in live.columns if column.name not in {*names, *_UNSEEN, *_WAITING})
        self.live, self.shadow = _standing(live).subquery("live"), _standing(shadow).subquery("shadow")
        self.same = and_(*(self.live.c[name] == self.shadow.c[name] for name in names))
        self.is_added = self.live.c[names[0]].is_(None)
        self.is_removed = self.shadow.c[names[0]].is_(None)
        apart = [self.live.c[name].is_distinct_from(self.shadow.c[name]) for name in self.content]
        both = not_(or_(self.is_added, self.is_removed))
        self.is_changed: ColumnElement[bool] = and_(both, or_(*apart)) if apart else and_(both, ~both)

    def rows(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Select from both tables, row by row."""
        return select(*columns).select_from(self.live.join(self.shadow, self.same, full=True))


def _standing(table: FromClause) -> Select[Any]:
    """Select a table's rows; of questions and flags only the open ones."""
    rows = select(table)
    return rows.where(table.c.closed_at.is_(None)) if "closed_at" in table.c else rows


def _names(table: Table) -> tuple[str, ...]:
    if table.name in _NAMED:
        return _NAMED[table.name]
    return tuple(column.name for column in table.primary_key.columns)


_NAMED = {"review": ("kind", "aspect", "key", "part", "field", "source")}


def _diff_of(connection: Connection, pair: _Pair) -> TableDiff:
    counts = [func.count().filter(pair.is_added), func.count().filter(pair.is_changed)]
    counts.append(func.count().filter(pair.is_removed))
    both = not_(or_(pair.is_added, pair.is_removed))
    by_field = [
        func.count().filter(and_(both, pair.live.c[name].is_distinct_from(pair.shadow.c[name])))
        for name in pair.content
    ]
    added, changed, removed, *fields = connection.execute(pair.rows(*counts, *by_field)).one()
    found = {name: int(count) for name, count in zip(pair.content, fields, strict=True) if count}
    ordered = dict(sorted(found.items(), key=lambda item: -item[1]))
    return TableDiff(pair.table, int(added), int(changed), int(removed), ordered, ())


def _hidden(table: Table, aspect: AspectTables | None) -> frozenset[str]:
    """Return the columns whose values are masked: personal and sensitive fields, and details of questions."""
    if aspect is None:
        return frozenset({"detail", "part", "extensions"})
    fields = {spec.name for spec in aspect.data if spec.data_class not in _SHOWN_AS_IT_IS}
    return frozenset(fields & {column.name for column in table.columns})


def _samples(
    connection: Connection, pair: _Pair, most: int, shown: tuple[Mapping[int, str], frozenset[str]]
) -> Sequence[Sample]:
    codes, hidden = shown
    found: list[Sample] = []
    for change, which in (("added", pair.is_added), ("changed", pair.is_changed), ("removed", pair.is_removed)):
        columns = [
            of.c[name].label(f"{side}_{name}")
            for side, of in (("live", pair.live), ("shadow", pair.shadow))
            for name in (*pair.names, *pair.content)
        ]
        order = [func.coalesce(pair.live.c[name], pair.shadow.c[name]) for name in pair.names]
        for row in connection.execute(pair.rows(*columns).where(which).order_by(*order).limit(most)).mappings():
            found.append(_sample(change, pair, dict(row), (codes, hidden)))
    return found


def _sample(
    change: str, pair: _Pair, row: Mapping[str, Any], shown: tuple[Mapping[int, str], frozenset[str]]
) -> Sample:
    side = "shadow" if change == "added" else "live"
    names = {name: _shown(name, row[f"{side}_{name}"], *shown) for name in pair.names}
    if change != "changed":
        said = {
            name: _shown(name, row[f"{side}_{name}"], *shown)
            for name in pair.content
            if row[f"{side}_{name}"] is not None
        }
        return Sample(change, names, None if change == "added" else said, said if change == "added" else None)
    apart = [name for name in pair.content if row[f"live_{name}"] != row[f"shadow_{name}"]]
    before = {name: _shown(name, row[f"live_{name}"], *shown) for name in apart}
    after = {name: _shown(name, row[f"shadow_{name}"], *shown) for name in apart}
    return Sample(change, names, before, after)


def _shown(name: str, value: Any, codes: Mapping[int, str], hidden: frozenset[str]) -> Any:
    if value in (None, ""):
        return value
    if name in ("source", "held_by"):
        return codes.get(value, value)
    return MASK if name in hidden else value
