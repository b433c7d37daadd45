"""The vocabulary: errors, outcomes, keys, entities."""

import hashlib
import hmac
import pickle
from uuid import UUID

import pytest

from hub.model import errors
from hub.model.entities import ENTITIES, SUBJECTS, key_fields_of
from hub.model.keys import as_uuid, entity_key, key_text
from hub.model.outcomes import OUTCOME_OF_REASON, Outcome, Reason

EVERY_ERROR: list[errors.HubError] = [
    errors.HubError("said"),
    errors.RetryableError("said", 7.5),
    errors.UnreachableError("said", 2.5),
    errors.ConcurrentUpdateError("said"),
    errors.PoisonError("BAD_MAGIC", "said"),
    errors.DeadLetterLimitError("said", [(1, 7, "INVALID_VALUE")]),
    errors.LostRangeError("said"),
    errors.ConfigError(["one", "two"]),
    errors.NotMigratedError(["one"]),
    errors.NothingComposedError("said", 3.5),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_error_pickles_with_all_its_fields(error: errors.HubError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - of our own making
    assert type(copy) is type(error)
    assert (vars(copy), str(copy), copy.code) == (vars(error), str(error), error.code)


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HubError)]
    assert {type(error) for error in EVERY_ERROR} == set(kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_every_reason_has_one_outcome_and_three_outcomes_need_a_reason() -> None:
    assert set(OUTCOME_OF_REASON) == set(Reason)
    assert set(OUTCOME_OF_REASON.values()) == {Outcome.REJECTED, Outcome.DEAD_LETTERED, Outcome.PARKED}
    rejected = {reason for reason, outcome in OUTCOME_OF_REASON.items() if outcome is Outcome.REJECTED}
    assert rejected == {
        Reason.SOURCE_UNKNOWN,
        Reason.SOURCE_NOT_ALLOWED,
        Reason.BEFORE_START,
        Reason.AFTER_CUT_OVER,
        Reason.VERSION_REUSED,
        Reason.SKIPPED_BY_OPERATOR,
        Reason.DISCARDED,
    }


def test_there_are_seven_outcomes() -> None:
    assert len(Outcome) == 7


def test_key_is_the_first_half_of_the_keyed_hash() -> None:
    text = key_text("admin_unit", ["GSO_2025", "00004"])
    assert text == "admin_unit:GSO_2025|00004"
    expected = hmac.new(b"the secret", text.encode(), hashlib.sha256).digest()[:16]
    assert entity_key("the secret", "admin_unit", ["GSO_2025", "00004"]) == expected
    assert as_uuid(expected) == UUID(bytes=expected)


@pytest.mark.parametrize("length", [1, 16, 63, 64, 65, 200])
def test_key_is_the_keyed_hash_however_long_the_secret_is(length: int) -> None:
    expected = hmac.new(b"s" * length, b"citizen:1", hashlib.sha256).digest()[:16]
    assert entity_key("s" * length, "citizen", ["1"]) == expected


def test_key_depends_on_secret_entity_and_every_part() -> None:
    keys = {
        entity_key(secret, entity, parts)
        for secret in ("one", "two")
        for entity in ("citizen", "dossier")
        for parts in (["1"], ["2"], ["1", "2"], ["Hồ sơ"])
    }
    assert len(keys) == 16


def test_each_subject_feeds_one_aspect_and_names_are_unique() -> None:
    aspects = [(entity, aspect) for entity in ENTITIES for aspect in entity.aspects]
    assert len(SUBJECTS) == len(aspects)
    assert len({f"{entity.name}_{aspect.name}" for entity, aspect in aspects}) == len(aspects)


def test_key_fields_are_known_for_every_subject() -> None:
    assert key_fields_of("residence.changed") == ("citizen", ("pin",))
    assert key_fields_of("inspection.changed") == ("inspection", ("inspection_id",))
    with pytest.raises(KeyError):
        key_fields_of("no.such")


def test_aspect_is_found_by_name() -> None:
    citizen = ENTITIES[0]
    assert citizen.aspect("insurance").subject == "health_insurance.linked"
    with pytest.raises(KeyError):
        citizen.aspect("no_such")
