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


CITIZEN = Entity(
    "citizen",
    key=("pin",),
    record_topic=True,
    aspects=(
        Aspect(
            "person",
            "citizen.changed",
            (Role.POPULATION, Role.CIVIL_STATUS, Role.PROVINCE),
            names=(
                "family_name",
                "middle_name",
                "given_name",
                "full_name",
                "other_name",
                "birth_place",
                "birth_registration_place",
                "native_place",
                "father_name",
                "mother_name",
                "spouse_name",
                "representative_name",
            ),
            indexes=(("cmnd9",),),
            same_as=(SameAs("previous_pin", "PIN_REPLACED"),),
            watched=("cmnd9", "life_status"),
            described=("full_name", "birth_year", "gender"),
        ),
        Aspect("identity", "identity.changed", (Role.IDENTITY, Role.POPULATION), names=("issue_place",)),
        Aspect(
            "residence",
            "residence.changed",
            (Role.RESIDENCE, Role.POPULATION, Role.PROVINCE),
            part=("kind",),
            names=(
                "detail_text",
                "head_name",
                "absence_destination",
            ),
            units=(UnitField("commune_code"),),
            indexes=(("commune_code",),),
            references=(Reference("commune_code", "admin_unit"),),
            history=True,
        ),
        Aspect(
            "insurance",
            "health_insurance.linked",
            (Role.SOCIAL_SECURITY, Role.PROVINCE),
            names=("initial_care_facility_name",),
            indexes=(("si_number_legacy",),),
            watched=("si_number_legacy",),
        ),
    ),
)
DOSSIER = Entity(
    "dossier",
    key=("dossier_code",),
    record_topic=True,
    aspects=(
        Aspect(
            "submission",
            "dossier.submitted",
            (Role.PORTAL, Role.PROVINCE),
            persons=("applicant_pin", "submitter_pin"),
            names=(
                "procedure_name",
                "field_name",
                "applicant_name",
                "applicant_address_detail",
                "submitter_name",
            ),
            references=(
                Reference("procedure_code", "procedure"),
                Reference("linked_parent_code", "dossier", by_key=True),
            ),
            same_as=(SameAs("alt_codes", "ALT_CODE", member="code"),),
        ),
        Aspect(
            "progress",
            "dossier.progressed",
            (Role.PROVINCE, Role.PORTAL),
            names=("step_name", "step_officer_name"),
            history=True,
        ),
    ),
)
PROCEDURE = Entity(
    "procedure",
    key=("procedure_code",),
    aspects=(
        Aspect("catalogue", "procedure.changed", (Role.PORTAL,), names=("name", "field_name", "executing_agency_name")),
    ),
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
            names=("name", "name_en", "full_name"),
            indexes=(("scheme", "unit_code"),),
        ),
    ),
)
SOCIAL_PAYMENT = Entity(
    "social_payment",
    key=("payment_id",),
    aspects=(
        Aspect(
            "payment",
            "social_payment.changed",
            (Role.PAYING_AGENCY,),
            units=(UnitField("commune_code"),),
            persons=("beneficiary_pin", "recipient_pin"),
            names=("beneficiary_name", "recipient_name"),
            references=(Reference("commune_code", "admin_unit"),),
        ),
    ),
)
INSPECTION = Entity(
    "inspection",
    key=("inspection_id",),
    aspects=(Aspect("inspection", "inspection.changed", (Role.INSPECTORATE,), names=("team_head_name",)),),
)
REVIEW = Entity(
    "review",
    key=("review_key",),
    aspects=(Aspect("decision", "review.decided", (Role.OFFICER,), indexes=(("aspect", "subject_key"),)),),
)

ENTITIES: tuple[Entity, ...] = (CITIZEN, DOSSIER, PROCEDURE, ADMIN_UNIT, SOCIAL_PAYMENT, INSPECTION, REVIEW)

SUBJECTS: dict[str, tuple[Entity, Aspect]] = {
    aspect.subject: (entity, aspect) for entity in ENTITIES for aspect in entity.aspects
}
"""Which entity and aspect a subject feeds."""


def key_fields_of(subject: str) -> tuple[str, tuple[str, ...]]:
    """Return the entity's name and key fields for a subject: what a connector needs to build the Kafka key."""
    entity, _ = SUBJECTS[subject]
    return entity.name, entity.key


def entity_named(name: str) -> Entity:
    """Return the entity of that name; ``KeyError`` when there is none."""
    for entity in ENTITIES:
        if entity.name == name:
            return entity
    raise KeyError(name)
