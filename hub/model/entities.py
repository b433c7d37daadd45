"""The entities, each declared once, in the terms of ``hub.model.declaration``.

An entity has a key and aspects. Exactly one subject (one event schema) feeds an aspect, so the aspect's fields are that
schema's data fields. Tables, staging, merge statements, conflict checks and portal projections are derived from these
declarations. To add an entity, add its schema under ``schemas/`` and a declaration here (docs/add-an-entity.md).
"""

from hub.model.declaration import (
    Alias,
    Aspect,
    Derived,
    Entity,
    NamedBy,
    Reference,
    Role,
    SameAs,
    ShowCommand,
    UnitField,
    declaration_problems,
)
from hub.model.dossiers.deadline import PROCEDURE_CHARACTERS
from hub.model.errors import ConfigError
from hub.model.flags import Flag
from hub.model.pin import CMND_DIGITS, SI_NUMBER_DIGITS

CITIZEN = Entity(
    "citizen",
    key=("pin",),
    record_topic=True,
    show=ShowCommand("citizen", "PIN, CMND-9, social-insurance number or key", "001299000123", "Citizens (công dân)."),
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
            aliases=(Alias("cmnd9", rf"[0-9]{{{CMND_DIGITS}}}"),),
            watched=("cmnd9", "life_status"),
            tracked=("full_name", "birth_year", "gender"),
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
            references=(
                Reference("commune_code", "admin_unit"),
                Reference("recode_from_commune_code", "admin_unit", scheme="recode_from_scheme"),
            ),
            history=True,
        ),
        Aspect(
            "insurance",
            "health_insurance.linked",
            (Role.SOCIAL_SECURITY, Role.PROVINCE),
            names=("initial_care_facility_name",),
            indexes=(("si_number_legacy",),),
            aliases=(Alias("si_number_legacy", rf"[0-9]{{{SI_NUMBER_DIGITS}}}"),),
            watched=("si_number_legacy",),
        ),
    ),
)
DOSSIER = Entity(
    "dossier",
    key=("dossier_code",),
    record_topic=True,
    derived=(Derived.HANDLING,),
    show=ShowCommand("dossier", "dossier code or key", "H42.12.34-250701-0001", "Dossiers (hồ sơ TTHC)."),
    unknown=Flag.UNKNOWN_DOSSIER,
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
                Reference("linked_parent_code", "dossier"),
                Reference("applicant_commune_code", "admin_unit"),
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
    show=ShowCommand(
        "procedure", "procedure code or key", "1.001193", "Procedures (thủ tục hành chính) of the catalogue."
    ),
    named_by=NamedBy("procedure_code", characters=PROCEDURE_CHARACTERS),
    published_by=(
        "the portal publishes the catalogue of procedures; where there is none yet: hub procedures load FILE"
    ),
    unknown=Flag.UNKNOWN_PROCEDURE,
    aspects=(
        Aspect("catalogue", "procedure.changed", (Role.PORTAL,), names=("name", "field_name", "executing_agency_name")),
    ),
)
ADMIN_UNIT = Entity(
    "admin_unit",
    key=("scheme", "unit_code"),
    show=None,
    named_by=NamedBy("unit_code", scheme="scheme"),
    published_by="the statistics office publishes the units: hub units load",
    unknown=Flag.UNKNOWN_UNIT,
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
    show=ShowCommand("payment", "payment id or key", "CT-2025-07-000123", "Social payments."),
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
    show=ShowCommand("inspection", "inspection id or key", "TT-2025-014", "Inspections."),
    aspects=(Aspect("inspection", "inspection.changed", (Role.INSPECTORATE,), names=("team_head_name",)),),
)
REVIEW = Entity(
    "review",
    key=("review_key",),
    show=None,
    aspects=(Aspect("decision", "review.decided", (Role.OFFICER,), indexes=(("aspect", "subject_key"),)),),
)

ENTITIES: tuple[Entity, ...] = (CITIZEN, DOSSIER, PROCEDURE, ADMIN_UNIT, SOCIAL_PAYMENT, INSPECTION, REVIEW)

if _problems := list(declaration_problems(ENTITIES)):
    raise ConfigError(_problems)

SUBJECTS: dict[str, tuple[Entity, Aspect]] = {
    aspect.subject: (entity, aspect) for entity in ENTITIES for aspect in entity.aspects
}
"""The entity and the aspect that a subject feeds."""


_BY_NAME = {entity.name: entity for entity in ENTITIES}


def key_fields_of(subject: str) -> tuple[str, tuple[str, ...]]:
    """Return the entity's name and key fields for a subject: what a connector needs to build the Kafka key."""
    entity, _ = SUBJECTS[subject]
    return entity.name, entity.key


def entity_named(name: str) -> Entity:
    """Return the entity of that name; ``KeyError`` if there is none."""
    return _BY_NAME[name]


def named_by_key(aspect: Aspect) -> dict[str, Entity]:
    """Return the fields that name another entity by its key, with that entity; tables have ``<field>_key`` for each."""
    named = dict.fromkeys(aspect.persons, CITIZEN)
    for reference in aspect.references:
        entity = entity_named(reference.entity)
        if entity.named_by is None:
            named[reference.field] = entity
    return named
