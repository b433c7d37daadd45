"""The entities, declared once.

An entity has a key and aspects; an aspect is fed by exactly one subject (one event schema), so its fields are that
schema's data fields. Tables, staging, merge statements, conflict checks and portal projections derive from these
declarations. To add an entity, add its schema under ``schemas/`` and a declaration here (docs/add-an-entity.md).
"""

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


@dataclass(frozen=True, slots=True)
class UnitField:
    """A data field that names an administrative unit: resolved over time, reviewed when ambiguous."""

    code: str
    """Field that holds the unit's code; its scheme is the envelope's ``unit_scheme``."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One side of an entity: who may speak of it, and in what order of authority.

    Fields:
        name: unique within the entity; the tables are ``<entity>_<name>_claim`` and ``<entity>_<name>_record``.
        subject: the event schema that feeds it.
        authority: roles, highest first. Among equal roles the later ``occurred_at`` wins, then the source's code.
        part: data fields that tell several values of one aspect apart (a person's permanent and temporary residence).
        not_compared: data fields in which a difference between sources is no conflict.
        units: fields that name administrative units.
        indexes: sets of data fields to index, for look-ups other than by key.
    """

    name: str
    subject: str
    authority: tuple[Role, ...]
    part: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    units: tuple[UnitField, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()


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


CITIZEN = Entity(
    "citizen",
    key=("pin",),
    record_topic=True,
    aspects=(
        Aspect("person", "citizen.changed", (Role.POPULATION, Role.CIVIL_STATUS, Role.PROVINCE)),
        Aspect("identity", "identity.changed", (Role.IDENTITY, Role.POPULATION)),
        Aspect(
            "residence",
            "residence.changed",
            (Role.RESIDENCE, Role.POPULATION, Role.PROVINCE),
            part=("kind",),
            units=(UnitField("commune_code"),),
            indexes=(("commune_code",),),
        ),
        Aspect("insurance", "health_insurance.linked", (Role.SOCIAL_SECURITY, Role.PROVINCE)),
    ),
)
DOSSIER = Entity(
    "dossier",
    key=("dossier_code",),
    record_topic=True,
    aspects=(
        Aspect("submission", "dossier.submitted", (Role.PORTAL, Role.PROVINCE)),
        Aspect("progress", "dossier.progressed", (Role.PROVINCE, Role.PORTAL)),
    ),
)
PROCEDURE = Entity(
    "procedure",
    key=("procedure_code",),
    aspects=(Aspect("catalogue", "procedure.changed", (Role.PORTAL,)),),
)
ADMIN_UNIT = Entity(
    "admin_unit",
    key=("scheme", "unit_code"),
    aspects=(
        Aspect(
            "unit",
            "admin_unit.changed",
            (Role.STATISTICS_OFFICE,),
            part=("valid_from",),
            indexes=(("scheme", "unit_code"),),
        ),
    ),
)

ENTITIES: tuple[Entity, ...] = (CITIZEN, DOSSIER, PROCEDURE, ADMIN_UNIT)

SUBJECTS: dict[str, tuple[Entity, Aspect]] = {
    aspect.subject: (entity, aspect) for entity in ENTITIES for aspect in entity.aspects
}
"""Which entity and aspect a subject feeds."""

KEYS_OF_OTHER_SUBJECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "social_payment.changed": ("social_payment", ("payment_id",)),
    "inspection.changed": ("inspection", ("inspection_id",)),
}
"""Entity name and key of subjects whose schema exists but which feed no entity yet."""


def key_fields_of(subject: str) -> tuple[str, tuple[str, ...]]:
    """Return the entity's name and key fields for a subject: what a connector needs to build the Kafka key."""
    if subject in SUBJECTS:
        entity, _ = SUBJECTS[subject]
        return entity.name, entity.key
    return KEYS_OF_OTHER_SUBJECTS[subject]
