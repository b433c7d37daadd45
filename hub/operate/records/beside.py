"""What the hub holds of a thing besides its claims: conflicts, questions, doubts, its other keys, what waits for it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Uuid, bindparam, literal, or_, select, union_all

from hub.codec.catalogue import load_catalogue
from hub.codec.decode import MASK
from hub.codec.fields import DataClass
from hub.model.declaration import Aspect, Entity
from hub.model.entities import named_by_key
from hub.operate.records.claims import Disagreement
from hub.operate.records.decisions import Decided
from hub.operate.records.questions import CONFLICT, REVIEW
from hub.operate.records.rows import masked_rows
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import conflict, identity_link, parked, review, same_key, source
from hub.warehouse.tables.entities import all_aspect_tables, aspect_tables

NAMED_LIMIT = 50
"""The most things listed that name this one; a full list means that there may be more."""


@dataclass(frozen=True, slots=True)
class Question:
    """A review: a question to an officer. ``number``: its name in ``hub review``.

    ``detail`` may contain values of the field; never in a repr.
    """

    number: str
    kind: str
    aspect: str
    part: str
    field: str
    source: str
    opened_at: datetime
    closed_at: datetime | None
    detail: Any = attribute(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """``source`` says in its claim of ``key`` that ``other`` is another key of the same thing."""

    kind: str
    key: UUID
    other: UUID
    aspect: str
    source: str


@dataclass(frozen=True, slots=True)
class Naming:
    """Another thing that a claim names in a field, or whose claim names this one: a dossier and its applicant."""

    entity: str
    key: UUID
    field: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parked event of the thing; ``waits_for`` None: it waits behind an earlier event."""

    subject: str
    source: str
    waits_for: str | None
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class Beside:
    """All of these. ``rows``: by title, rows from tables of single entities (deadline, open flags)."""

    questions: tuple[Question, ...] = ()
    same: tuple[UUID, ...] = ()
    canonical: UUID | None = None
    links: tuple[Link, ...] = ()
    names: tuple[Naming, ...] = ()
    named_by: tuple[Naming, ...] = ()
    parked: tuple[Waiting, ...] = ()
    decisions: tuple[Decided, ...] = ()
    rows: Mapping[str, tuple[Mapping[str, Any], ...]] = attribute(default_factory=dict, repr=False)

    def masked(self, entity: Entity) -> "Beside":
        """Return a copy without the details of questions about personal fields and without personal unit codes."""
        questions = tuple(_masked_question(entity, question) for question in self.questions)
        return replace(self, questions=questions, rows=masked_rows(entity, self.rows))


def _masked_question(entity: Entity, question: Question) -> Question:
    aspect = next((aspect for aspect in entity.aspects if f"{entity.name}.{aspect.name}" == question.aspect), None)
    return question if aspect is not None and _is_open(aspect, question.field) else replace(question, detail=MASK)


def _is_open(aspect: Aspect, name: str) -> bool:
    fields = load_catalogue().latest(aspect.subject).data_fields
    return any(spec.name == name and spec.data_class in {DataClass.PUBLIC, DataClass.INTERNAL} for spec in fields)


@cache
def conflicts_of_key() -> Select[Any]:
    """Select the conflicts of ``:key`` in ``:aspect``, open ones first."""
    against = source.alias("against")
    return (
        select(conflict, source.c.code, against.c.code.label("held_by_code"))
        .join(source, source.c.id == conflict.c.source)
        .join(against, against.c.id == conflict.c.held_by)
        .where(conflict.c.aspect == bindparam("aspect"), conflict.c.key == bindparam("key", type_=Uuid))
        .order_by(conflict.c.closed_at.desc().nulls_first(), conflict.c.part, conflict.c.field, source.c.code)
    )


def conflicts_of(connection: Connection, aspect: str, key: UUID) -> dict[str, list[Disagreement]]:
    """Return the conflicts of a key in an aspect, open and closed, by part."""
    found: dict[str, list[Disagreement]] = {}
    for row in connection.execute(conflicts_of_key(), {"aspect": aspect, "key": key}):
        of_part = found.setdefault(row.part, [])
        of_part.append(
            Disagreement(*(row.field, row.code, row.held_by_code, row.opened_at, row.closed_at), f"{CONFLICT}{row.id}")
        )
    return found


def beside_of(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Beside:
    """Return what the hub holds of a thing's keys besides claims; the caller adds the keys and the decisions."""
    return Beside(
        questions=tuple(_questions(connection, entity, keys)),
        links=tuple(_links(connection, entity, keys)),
        names=tuple(_names(connection, entity, keys)),
        named_by=tuple(_named_by(connection, entity, keys)),
        parked=tuple(_parked(connection, entity, keys)),
    )


def _questions(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterable[Question]:
    aspects = [f"{entity.name}.{aspect.name}" for aspect in entity.aspects]
    rows = connection.execute(
        select(review, source.c.code)
        .outerjoin(source, source.c.id == review.c.source)
        .where(review.c.key.in_(keys), review.c.aspect.in_(aspects))
        .order_by(review.c.closed_at.desc().nulls_first(), review.c.opened_at, review.c.id)
    )
    for row in rows:
        yield Question(
            f"{REVIEW}{row.id}",
            row.kind,
            row.aspect,
            row.part,
            row.field,
            row.code,
            row.opened_at,
            row.closed_at,
            row.detail,
        )


def same_keys(connection: Connection, entity: Entity, key: UUID) -> dict[UUID, UUID]:
    """Return the keys of a thing, each with the key it is published under; none if the thing has only one key."""
    mine = select(same_key.c.canonical).where(same_key.c.entity == entity.name, same_key.c.key == key)
    rows = connection.execute(
        select(same_key.c.key, same_key.c.canonical)
        .where(same_key.c.entity == entity.name, same_key.c.canonical == mine.scalar_subquery())
        .order_by(same_key.c.key)
    )
    return {row.key: row.canonical for row in rows}


def _links(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterable[Link]:
    rows = connection.execute(
        select(identity_link, source.c.code)
        .outerjoin(source, source.c.id == identity_link.c.source)
        .where(identity_link.c.entity == entity.name)
        .where(or_(identity_link.c.key.in_(keys), identity_link.c.other.in_(keys)))
        .order_by(identity_link.c.kind, identity_link.c.key, identity_link.c.other, source.c.code)
    )
    for row in rows:
        yield Link(row.kind, row.key, row.other, row.aspect, row.code)


def _parked(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterable[Waiting]:
    subjects = [aspect.subject for aspect in entity.aspects]
    rows = connection.execute(
        select(parked.c.subject, source.c.code, parked.c.waits_for, parked.c.parked_at)
        .join(source, source.c.id == parked.c.source)
        .where(parked.c.key.in_(keys), parked.c.subject.in_(subjects))
        .order_by(parked.c.log, parked.c.log_offset)
    )
    for row in rows:
        yield Waiting(row.subject, row.code, row.waits_for, row.parked_at)


def _names(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterable[Naming]:
    for aspect in entity.aspects:
        claim = aspect_tables(aspect.subject).claim
        for name, other in named_by_key(aspect).items():
            column = claim.c[other_key(name)]
            named = select(column).where(claim.c.key.in_(keys), column.is_not(None), ~claim.c.revoked)
            for key in connection.execute(named.distinct().order_by(column)).scalars():
                yield Naming(other.name, key, name)


def _named_by(connection: Connection, entity: Entity, keys: Collection[UUID]) -> Iterable[Naming]:
    found = [
        select(literal(tables.entity.name).label("entity"), tables.claim.c.key, literal(name).label("field")).where(
            tables.claim.c[other_key(name)].in_(keys), ~tables.claim.c.revoked
        )
        for tables in all_aspect_tables()
        for name, named in named_by_key(tables.aspect).items()
        if named is entity
    ]
    if not found:
        return
    every = union_all(*found).subquery()
    rows = connection.execute(select(every).distinct().order_by(*every.c).limit(NAMED_LIMIT))
    for row in rows:
        yield Naming(row.entity, row.key, row.field)
