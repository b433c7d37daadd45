"""Dead letters counted in groups: the largest group comes first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, distinct, func, select
from sqlalchemy.dialects.postgresql import distinct_on

from hub.log.places import Place
from hub.model.refusals import GroupBy
from hub.operate.dead_letters.letters import LetterFilter, State, chosen_letters, state_of
from hub.topology import subject_of
from hub.warehouse.tables.core import dead_letter, log_partition, source


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Letters that have something in common.

    Fields:
        name: the reason, the source or the subject; None: the source is not known.
        states: how many are in which state.
        reasons, sources, subjects: those of the letters, in order; unknown sources are left out.
        first_seen, last_seen: when the hub wrote the oldest and the newest letter.
        example: the oldest letter.
    """

    name: str | None
    count: int
    states: Mapping[State, int]
    reasons: tuple[str, ...]
    sources: tuple[str, ...]
    subjects: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    example: Place


def group_letters(connection: Connection, wanted: LetterFilter, by: GroupBy) -> list[LetterGroup]:
    """Count letters in groups, without the limit; the largest group comes first."""
    name = _COLUMNS[by]
    columns: list[ColumnElement[Any]] = [
        name.label("name"),
        func.count().label("letters"),
        *(func.count().filter(state_of() == state.value).label(state.value) for state in State),
        _all_of(dead_letter.c.reason).label("reasons"),
        _all_of(source.c.code).label("sources"),
        _all_of(log_partition.c.topic).label("topics"),
        func.min(dead_letter.c.recorded_at).label("first_seen"),
        func.max(dead_letter.c.recorded_at).label("last_seen"),
    ]
    counted = chosen_letters(select(*columns), wanted)
    oldest = chosen_letters(
        select(
            name.label("name"), log_partition.c.topic, log_partition.c.partition, dead_letter.c.log_offset.label("at")
        ),
        wanted,
    )
    order = (name, dead_letter.c.recorded_at, dead_letter.c.log, dead_letter.c.log_offset)
    examples = {
        row.name: Place(row.topic, row.partition, row.at)
        for row in connection.execute(oldest.ext(distinct_on(name)).order_by(*order))
    }
    rows = connection.execute(counted.group_by(name).order_by(func.count().desc(), name))
    return [_group(row, by, examples[row.name]) for row in rows]


_COLUMNS: Mapping[GroupBy, ColumnElement[str]] = {
    GroupBy.REASON: dead_letter.c.reason,
    GroupBy.SOURCE: source.c.code,
    GroupBy.TOPIC: log_partition.c.topic,
}


def _all_of(column: ColumnElement[str]) -> ColumnElement[Any]:
    return func.array_agg(distinct(column)).filter(column.is_not(None))


def _group(row: Any, by: GroupBy, example: Place) -> LetterGroup:
    counts = {state: getattr(row, state.value) for state in State}
    return LetterGroup(
        name=subject_of(row.name) if by is GroupBy.TOPIC else row.name,
        count=row.letters,
        states={state: count for state, count in counts.items() if count},
        reasons=tuple(row.reasons or ()),
        sources=tuple(row.sources or ()),
        subjects=tuple(dict.fromkeys(map(subject_of, row.topics))),
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        example=example,
    )
