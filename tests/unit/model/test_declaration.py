"""Declarations that do not hold together are refused with all their problems; each word of one has its effect."""

import re

import polars as pl
import pytest

from hub.intake.checks.derived import hashed_key, named_key
from hub.model.declaration import Aspect, Entity, NamedBy, Reference, Role, SameAs, UnitField, declaration_problems
from hub.model.entities import ENTITIES, entity_named, named_by_key
from hub.model.flags import Flag

SECRET = "a secret of the tests"  # noqa: S105 - of no system


def vehicle(*references: Reference, same_as: tuple[SameAs, ...] = (), units: tuple[UnitField, ...] = ()) -> Entity:
    aspect = Aspect(
        "registration", "vehicle.changed", (Role.PROVINCE,), references=references, same_as=same_as, units=units
    )
    return Entity("vehicle", key=("plate",), aspects=(aspect,))


MODEL = Entity("model", key=("maker", "code"))


def test_the_projects_own_declarations_hold_together() -> None:
    assert list(declaration_problems(ENTITIES)) == []


@pytest.mark.parametrize(
    ("entities", "problem"),
    [
        ((vehicle(), vehicle()), "entity vehicle: is declared twice"),
        ((vehicle(), vehicle()), "subject vehicle.changed: feeds two aspects"),
        ((vehicle(Reference("owner", "person")),), "reference owner: there is no entity person"),
        (
            (vehicle(Reference("model", "model")), MODEL),
            "the key of model has several fields; declare named_by of model",
        ),
        (
            (Entity("model", ("code",), named_by=NamedBy("name")),),
            "entity model: named_by: .* must be key fields: code",
        ),
        ((Entity("a", ("b", "c"), vehicle(same_as=(SameAs("d", "D"),)).aspects),), "same_as: .* must be one field"),
        ((vehicle(units=(UnitField("home"), UnitField("work"))),), "units: give each field a resolution of its own"),
    ],
)
def test_wrong_declaration_is_named_with_what_to_do(entities: tuple[Entity, ...], problem: str) -> None:
    assert re.search(problem, "\n".join(declaration_problems(entities)))


def test_reference_by_key_gives_a_key_column_and_one_by_code_none() -> None:
    assert {
        name: entity.name for name, entity in named_by_key(entity_named("dossier").aspect("submission")).items()
    } == {
        "applicant_pin": "citizen",
        "submitter_pin": "citizen",
        "linked_parent_code": "dossier",
    }
    assert named_by_key(entity_named("citizen").aspect("residence")) == {}


@pytest.mark.parametrize(
    ("entity", "good", "bad"),
    [("citizen", "001299000123", "012345678"), ("dossier", "H42.12.34-250701-0001", " H42"), ("inspection", "x", None)],
)
def test_value_that_cannot_be_a_key_names_nobody(entity: str, good: str, bad: str | None) -> None:
    named = entity_named(entity)
    found = pl.DataFrame({"named": [good, bad]}).select(key=named_key(named, pl.col("named"), SECRET))["key"]
    assert found.to_list() == [
        pl.select(hashed_key(entity, [pl.lit(good)], SECRET)).item(),
        None,
    ]


def test_what_is_let_in_has_the_flag_of_what_it_lacks() -> None:
    flags = {entity.name: entity.unknown for entity in ENTITIES}
    assert flags["admin_unit"] is Flag.UNKNOWN_UNIT
    assert flags["procedure"] is Flag.UNKNOWN_PROCEDURE
    assert flags["dossier"] is Flag.UNKNOWN_DOSSIER
    assert Entity("vehicle", ("plate",)).unknown is Flag.UNKNOWN_REFERENCE
