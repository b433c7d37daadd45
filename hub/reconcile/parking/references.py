"""The thing that a row names, and whether the hub knows it: by the thing's key, or by a code that identifies it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, Uuid, and_, case, cast, exists, false, func, null, or_, true
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from hub.model.declaration import Entity, Reference
from hub.model.entities import entity_named
from hub.reconcile.parking.dated_ahead import waits_for_officer
from hub.warehouse.tables.aspect_columns import other_key
from hub.warehouse.tables.core import identity_link
from hub.warehouse.tables.entities import AspectTables, aspect_tables

NO_KEY = "no key"
"""What a row waits for if the value that names the thing cannot be its key: only an officer can admit it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A thing that a row names: by its key, or by a code and the scheme that the row gives for it."""

    entity: Entity
    code: ColumnElement[str]
    scheme: ColumnElement[str]
    key: ColumnElement[Any]

    def is_named(self, value: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return whether the field's value names something: a code without its scheme does not."""
        by = self.entity.named_by
        has_scheme = [self.scheme.is_not(None)] if by is not None and by.scheme else []
        return and_(value.is_not(None), *has_scheme)

    def is_known(self) -> ColumnElement[bool]:
        """Return whether some source has claimed it, or states that it is another key of a known thing."""
        claimed = [exists().where(self.is_it(aspect_tables(aspect.subject).claim.c)) for aspect in self.entity.aspects]
        if self.entity.named_by is not None:
            return or_(*claimed)
        return or_(
            *claimed, exists().where(identity_link.c.entity == self.entity.name, identity_link.c.other == self.key)
        )

    def is_it(self, columns: ReadOnlyColumnCollection[str, Any]) -> ColumnElement[bool]:
        """Return whether a claim or a staged row with these columns is about it."""
        by = self.entity.named_by
        if by is None:
            its_key: ColumnElement[Any] = columns["key"]
            return its_key == self.key
        theirs: ColumnElement[Any] = columns[by.code]
        mine: ColumnElement[Any] = self.code
        if by.characters is not None:
            theirs, mine = func.left(theirs, by.characters), func.left(mine, by.characters)
        return and_(theirs == mine, *([columns[by.scheme] == self.scheme] if by.scheme else []))

    def as_text(self) -> ColumnElement[str]:
        """Return it as text: ``procedure:<code>``, ``admin_unit:<scheme>:<code>``, ``dossier:<key>``."""
        by = self.entity.named_by
        if by is None:
            return func.concat(self.entity.name, ":", func.coalesce(cast(self.key, Text), NO_KEY))
        return func.concat(self.entity.name, ":", *((self.scheme, ":") if by.scheme else ()), self.code)


def named_by_row(tables: AspectTables, reference: Reference) -> Named:
    """Return what a field of a staged row names."""
    stage, entity = tables.stage, entity_named(reference.entity)
    key: ColumnElement[Any] = null() if entity.named_by else stage.c[other_key(reference.field)]
    return Named(entity, stage.c[reference.field], stage.c[reference.scheme], key)


def named_in_text(entity: Entity, waits_for: ColumnElement[str]) -> tuple[Named, ColumnElement[bool]]:
    """Return the thing that ``waits_for`` names, and whether it is a thing of this entity."""
    is_of_it = func.split_part(waits_for, ":", 1) == entity.name
    rest = func.substr(waits_for, len(entity.name) + 2)
    by = entity.named_by
    scheme = func.split_part(rest, ":", 1)
    code = func.substr(rest, func.length(scheme) + 2) if by is not None and by.scheme else rest
    key = cast(case((and_(is_of_it, rest != NO_KEY), rest)), Uuid) if by is None else null()
    return Named(entity, code, scheme, key), is_of_it


def known_reference(tables: AspectTables, waits_for: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether the thing that ``waits_for`` names is known now; false if it waits for an officer."""
    cases: list[tuple[ColumnElement[bool], ColumnElement[bool]]] = [(waits_for_officer(waits_for), false())]
    for name in dict.fromkeys(reference.entity for reference in tables.aspect.references):
        named, is_of_it = named_in_text(entity_named(name), waits_for)
        cases.append((is_of_it, named.is_known()))
    return case(*cases, else_=true())
