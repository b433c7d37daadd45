"""Check schemas against the entities' declarations: the newest version has each declared field, in a usable form."""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.codec.fields import DataClass, FieldSpec, UnsupportedTypeError, fields_of
from hub.codec.schema_check.problems import Problem, Rule
from hub.model.declaration import Aspect, Entity
from hub.model.entities import SUBJECTS

LOOKED_UP = {"commune_code": "admin_unit"}
"""Kinds of values that name a thing of an entity: every field of the kind must be declared as a reference to it."""

_SAID_ALOUD = (DataClass.PUBLIC, DataClass.INTERNAL)


def declared_problems(subject: str, number: int, schema: Mapping[str, Any]) -> list[Problem]:
    """Return the declared fields that the newest version of a subject lacks, or has in a wrong form."""
    if subject not in SUBJECTS:
        return []
    try:
        fields = {spec.name: spec for spec in fields_of(schema)}
    except (UnsupportedTypeError, KeyError, TypeError, ValueError):
        return []  # a file that does not parse is reported by its own rules
    entity, aspect = SUBJECTS[subject]
    found = [
        *_missing(aspect, fields),
        *_apart(entity, aspect, fields),
        *_named(entity, fields),
        *_not_looked_up(aspect, fields),
    ]
    return [Problem(subject, number, Rule.KEY, message, name) for name, message in found]


DeclarationProblems = Iterator[tuple[str, str]]
"""Field, message."""


def _looked_up(aspect: Aspect) -> tuple[str, ...]:
    """Return the fields by which an aspect's claims are searched or tracked."""
    return (
        *(unit.code for unit in aspect.units),
        *(name for index in aspect.indexes for name in index),
        *aspect.persons,
        *(reference.field for reference in aspect.references),
        *aspect.watched,
    )


def _missing(aspect: Aspect, fields: Mapping[str, FieldSpec]) -> DeclarationProblems:
    others = (*aspect.not_compared, *aspect.names, *(one.field for one in aspect.same_as), *aspect.tracked)
    for name in dict.fromkeys((*_looked_up(aspect), *others)):
        if name not in fields:
            yield name, "is named by the entity's declaration but is missing"


def _apart(entity: Entity, aspect: Aspect, fields: Mapping[str, FieldSpec]) -> DeclarationProblems:
    """Find sensitive fields that are looked up: they are stored in a separate table without indexes."""
    for name in dict.fromkeys((*entity.key, *_looked_up(aspect))):
        if name in fields and fields[name].data_class is DataClass.SENSITIVE:
            yield name, "is SENSITIVE and stored apart from the claim, so the declaration cannot look it up"


def _named(entity: Entity, fields: Mapping[str, FieldSpec]) -> DeclarationProblems:
    by = entity.named_by
    if by is not None and by.code in fields and fields[by.code].data_class not in _SAID_ALOUD:
        yield by.code, "names the thing in lists of parked records, so it must be PUBLIC or INTERNAL"


def _not_looked_up(aspect: Aspect, fields: Mapping[str, FieldSpec]) -> DeclarationProblems:
    declared = {(reference.field, reference.entity) for reference in aspect.references}
    for name, spec in fields.items():
        entity = LOOKED_UP.get(spec.value_kind)
        if entity is not None and (name, entity) not in declared:
            add = f"add Reference({name!r}, {entity!r}) to the declaration: otherwise it is not looked up"
            yield name, f"is a {spec.value_kind}; {add}"
        for item in spec.items:
            if item.value_kind in LOOKED_UP:
                yield f"{name}.{item.name}", f"is a {item.value_kind} in a list, where nothing is looked up"
