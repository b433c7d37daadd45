"""The terms in which an entity is declared. The entities themselves are in ``hub.model.entities``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hub.model.flags import Flag


class Role(StrEnum):
    """The kind of authority that a source system has; the policy file gives each source one role."""

    POPULATION = "population"
    CIVIL_STATUS = "civil_status"
    IDENTITY = "identity"
    RESIDENCE = "residence"
    SOCIAL_SECURITY = "social_security"
    PORTAL = "portal"
    PROVINCE = "province"
    STATISTICS_OFFICE = "statistics_office"
    PAYING_AGENCY = "paying_agency"
    INSPECTORATE = "inspectorate"
    OFFICER = "officer"


@dataclass(frozen=True, slots=True)
class UnitField:
    """A data field that names an administrative unit: resolved over time, reviewed if ambiguous."""

    code: str
    """Field that holds the unit's code; its scheme is the envelope's ``unit_scheme``."""
    resolution: str = "unit_resolution"
    """Field of the published record that says how certain today's unit is; each unit of an aspect has its own."""


@dataclass(frozen=True, slots=True)
class NamedBy:
    """How other entities name a thing without its whole key: by a code, which is one of its key fields.

    Fields:
        code: the key field that they give.
        scheme: the key field that must equal ``unit_scheme`` in the naming event's envelope; None: the code is enough.
        characters: how many characters at the start of the code identify the thing; None: all.
    """

    code: str
    scheme: str | None = None
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A data field that names a thing which must be known before the event counts; until then its key is parked.

    Fields:
        field: the data field; null names nothing.
        entity: the entity of the thing, named by its key or as its declaration says (``Entity.named_by``).
        scheme: the field that says in which scheme the code is, for things that have one; null: it names nothing.
    """

    field: str
    entity: str
    scheme: str = "unit_scheme"


@dataclass(frozen=True, slots=True)
class SameAs:
    """A data field that gives another key of the same thing: a replaced PIN, a dossier's code in another system.

    Fields:
        field: the data field; with ``member`` it is a list of records.
        kind: the link's name.
        member: the field of the list's records that holds the other key.
    """

    field: str
    kind: str
    member: str | None = None


class Derived(StrEnum):
    """What special rules derive from an entity's claims: commands show it and the record contains it."""

    HANDLING = "handling"
    """A dossier's deadline, the agency that handles it today, linked dossiers (hub.reconcile.rules.dossiers)."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A data field with another number or code by which people search for a thing; several things may have the same.

    Fields:
        field: the data field; the aspect's ``indexes`` must contain it.
        pattern: a pattern that a whole text must match to be such a number.
    """

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class ShowCommand:
    """The words of ``hub GROUP show`` for an entity.

    Fields:
        group: the group of commands; empty: the entity's name.
        code: what identifies one thing, in words; empty: its key fields.
        example: an example of it; empty: the key fields in capitals.
        about: the content of the group; empty: records of the entity.
    """

    group: str = ""
    code: str = ""
    example: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One side of an entity: who may speak of it, and in what order of authority.

    Fields:
        name: unique within the entity; the tables are ``<entity>_<name>_claim`` and ``<entity>_<name>_record``.
        subject: the event schema that feeds it.
        authority: roles, highest first. Among equal roles the later ``occurred_at`` wins, then the source's code.
        part: data fields that distinguish several values of one aspect (a person's permanent and temporary residence).
        not_compared: data fields in which a difference between sources is not a conflict.
        names: data fields with names of people, places or things: the position of a tone mark (hòa and hoà) is not a
            difference in them. In every text, composed and decomposed letters are equal (hub.model.texts.letters).
        units: fields that name administrative units.
        indexes: sets of data fields to index, for look-ups other than by key.
        persons: data fields that hold a citizen's PIN; tables also get the citizen's key, ``<field>_key``.
        references: what must be known before an event counts.
        same_as: fields that give another key of the same thing.
        aliases: fields that hold another number by which people ask for the thing.
        watched: fields of which the merge records the old and the new value, for later steps.
        tracked: fields whose change the merge records for later steps.
        history: whether every accepted version stays in the warehouse (``..._history``), for questions over many keys;
            for a single key the log has all versions too.
    """

    name: str
    subject: str
    authority: tuple[Role, ...]
    part: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    units: tuple[UnitField, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    persons: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    same_as: tuple[SameAs, ...] = ()
    aliases: tuple[Alias, ...] = ()
    watched: tuple[str, ...] = ()
    tracked: tuple[str, ...] = ()
    history: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing of which the hub keeps a golden record.

    Fields:
        name: singular, e.g. ``citizen``.
        key: data fields that identify it, in every subject of its aspects.
        aspects: its sides.
        record_topic: whether its golden records are published (topic ``hub.<name>.record.v1``).
        derived: what rules derive from its claims beyond what all entities have.
        show: the command that shows one thing; None: there is none.
        named_by: how events of other entities name it; None: by its key, which then is one field.
        published_by: who publishes its things and how to load them; shown when an unknown one is named.
        unknown: the flag of an event that was admitted although it names an unknown thing of this entity.
    """

    name: str
    key: tuple[str, ...]
    aspects: tuple[Aspect, ...] = field(default=())
    record_topic: bool = False
    derived: tuple[Derived, ...] = ()
    show: ShowCommand | None = ShowCommand()
    named_by: NamedBy | None = None
    published_by: str = ""
    unknown: Flag = Flag.UNKNOWN_REFERENCE

    @property
    def label(self) -> str:
        """The name of one of its things on a screen."""
        return self.name.replace("_", " ")

    def aspect(self, name: str) -> Aspect:
        """Return the aspect of that name; ``KeyError`` if there is none."""
        for aspect in self.aspects:
            if aspect.name == name:
                return aspect
        raise KeyError(name)


def declaration_problems(entities: Sequence[Entity]) -> Iterator[str]:
    """Yield what is wrong in the declarations themselves; ``hub schemas check`` compares their fields with schemas."""
    by_name = {entity.name: entity for entity in entities}
    subjects = [aspect.subject for entity in entities for aspect in entity.aspects]
    yield from (f"entity {name}: is declared twice" for name in _repeated([entity.name for entity in entities]))
    yield from (f"subject {subject}: feeds two aspects" for subject in _repeated(subjects))
    for entity in entities:
        by = entity.named_by
        if by is not None and not {by.code, by.scheme or by.code} <= set(entity.key):
            yield f"entity {entity.name}: named_by: its code and scheme must be key fields: {', '.join(entity.key)}"
        for aspect in entity.aspects:
            for name in _repeated([unit.resolution for unit in aspect.units]):
                yield f"{entity.name}.{aspect.name}: units: give each field a resolution of its own, not {name}"
            if aspect.same_as and len(entity.key) > 1:
                yield f"{entity.name}.{aspect.name}: same_as: the entity's key must be one field"
            for reference in aspect.references:
                yield from _reference_problems(f"{entity.name}.{aspect.name}", reference, by_name)


def _reference_problems(where: str, reference: Reference, by_name: Mapping[str, Entity]) -> Iterator[str]:
    named = by_name.get(reference.entity)
    if named is None:
        yield f"{where}: reference {reference.field}: there is no entity {reference.entity}"
    elif named.named_by is None and len(named.key) > 1:
        yield (
            f"{where}: reference {reference.field}: the key of {named.name} has several fields; "
            f"declare named_by of {named.name}: the code that names it"
        )


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
