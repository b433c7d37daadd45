"""The words in which an entity is declared. The entities themselves stand in ``hub.model.entities``."""

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What kind of authority a source system is; the policy file gives each source one."""

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
    """A data field that names an administrative unit: resolved over time, reviewed when ambiguous."""

    code: str
    """Field that holds the unit's code; its scheme is the envelope's ``unit_scheme``."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A data field that names a thing which must be known before the event counts; until then its key is parked.

    Fields:
        field: the data field; a null names nothing.
        entity: the entity it names.
        by_key: whether the field is that entity's whole key. A unit is looked up by the envelope's ``unit_scheme`` and
            its code, a procedure by the first characters of its code.
    """

    field: str
    entity: str
    by_key: bool = False


@dataclass(frozen=True, slots=True)
class SameAs:
    """A data field that gives another key of the same thing: a replaced PIN, a dossier's code in another system.

    Fields:
        field: the data field; with ``member`` a list of records.
        kind: what the link is called.
        member: the field of the list's records that holds the other key.
    """

    field: str
    kind: str
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Aspect:
    """One side of an entity: who may speak of it, and in what order of authority.

    Fields:
        name: unique within the entity; the tables are ``<entity>_<name>_claim`` and ``<entity>_<name>_record``.
        subject: the event schema that feeds it.
        authority: roles, highest first. Among equal roles the later ``occurred_at`` wins, then the source's code.
        part: data fields that tell several values of one aspect apart (a person's permanent and temporary residence).
        not_compared: data fields in which a difference between sources is no conflict.
        names: data fields that hold names of people, places or things: the place of a tone is no difference in them
            (hòa and hoà). In every text composed and decomposed letters are equal (hub.model.texts.letters).
        units: fields that name administrative units.
        indexes: sets of data fields to index, for look-ups other than by key.
        persons: data fields that hold a citizen's PIN; tables get the citizen's key beside each, ``<field>_key``.
        references: what must be known before an event counts.
        same_as: fields that give another key of the same thing.
        watched: fields of which the merge notes what they were and what they are now, for later steps.
        described: fields of which the merge notes whether any of them is another than before, for later steps.
        history: whether every accepted version stays in the warehouse (``..._history``), for questions over many
            keys; of a single key the log tells it too.
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
    watched: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    history: bool = False

    @property
    def others(self) -> dict[str, str]:
        """Fields that name another entity by its key, and that entity: tables get ``<field>_key`` beside each."""
        named = {field: "citizen" for field in self.persons}
        return named | {item.field: item.entity for item in self.references if item.by_key}


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing the hub keeps a golden record of.

    Fields:
        name: singular, e.g. ``citizen``.
        key: data fields that identify it, in every subject of its aspects.
        aspects: its sides.
        record_topic: whether its golden records are published (topic ``hub.<name>.record.v1``).
    """

    name: str
    key: tuple[str, ...]
    aspects: tuple[Aspect, ...] = field(default=())
    record_topic: bool = False

    def aspect(self, name: str) -> Aspect:
        """Return the aspect of that name; ``KeyError`` when there is none."""
        for aspect in self.aspects:
            if aspect.name == name:
                return aspect
        raise KeyError(name)
