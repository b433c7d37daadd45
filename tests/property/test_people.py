"""Deaths and doubts about who is who do not depend on the order of events, nor on how batches part them (I4)."""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub.intake.decode.decoder import GuardedDecoder
from tests.conftest import RunningEngine
from tests.property import people_oracle
from tests.property.people_oracle import Event
from tests.support.whole_world import Whole, key_of, open_whole

PINS = ("001299000001", "001299000002", "001399000003")
PROCEDURE = "1.001193"
SOAK = int(os.environ.get("HUB_SOAK_EXAMPLES", "1000"))
EXAMPLES = 150
_CLEAR = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'hub' AND tablename NOT IN (
            'alembic_version', 'source', 'authority', 'log_partition', 'policy', 'calendar', 'calendar_day',
            'procedure_catalogue_claim', 'procedure_catalogue_record'
        ) LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
    END $$
"""

pins = st.sampled_from(PINS)
maybe_pin = st.none() | pins
operation = st.sampled_from(["UPDATE", "UPDATE", "UPDATE", "CORRECT", "REVOKE"])
end = st.sampled_from([None, date(2025, 7, 1), date(2025, 7, 20), date(2026, 1, 1)])
death = st.sampled_from(
    [
        {"life_status": None},
        {"life_status": "ALIVE"},
        {"life_status": "DEAD"},
        {"life_status": "DEAD", "life_status_year": 2025, "life_status_month": 7},
        {"life_status": "DEAD", "life_status_year": 2025, "life_status_month": 7, "life_status_day": 15},
        {"life_status": "MISSING", "life_status_year": 2024},
    ]
)


def event(subject: str, **fields: Any) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """An event of a subject: fields are strategies; what a value leaves null is left out."""
    made = st.fixed_dictionaries({"operation": operation, **fields})
    return made.map(lambda row: (subject, {name: value for name, value in row.items() if value is not None}))


PERSON = event(
    "citizen.changed",
    source_system=st.sampled_from(["dancu", "tinh"]),
    pin=pins,
    death=death,
    full_name=st.sampled_from(["Trần Hòa", "TRẦN HOÀ", "Trần Hóa"]),
    birth_year=st.sampled_from([None, 1990, 1991]),
    gender=st.sampled_from([None, "MALE", "FEMALE", "UNKNOWN"]),
    cmnd9=st.sampled_from([None, "013000001", "013000002", "000000001"]),
    previous_pin=maybe_pin,
).map(lambda item: (item[0], {**{k: v for k, v in item[1].items() if k != "death"}, **item[1]["death"]}))
THINGS = (
    event(
        "health_insurance.linked",
        source_system=st.sampled_from(["bhxh", "tinh"]),
        pin=pins,
        valid_to=end,
        si_number_legacy=st.sampled_from([None, "0130000001", "0130000002"]),
        link_state=st.sampled_from(["MATCHED", "MISMATCH"]),
    ),
    event(
        "residence.changed",
        source_system=st.just("cutru"),
        pin=pins,
        kind=st.sampled_from(["PERMANENT", "TEMPORARY"]),
        action=st.sampled_from(["REGISTER", "DELETE"]),
        to_date=end,
    ),
    event(
        "identity.changed",
        source_system=st.just("cancuoc"),
        pin=pins,
        eid_state=st.sampled_from(["UNLOCKED", "LOCKED"]),
    ),
    event(
        "social_payment.changed",
        source_system=st.just("chitra"),
        payment_id=st.sampled_from(["p1", "p2"]),
        beneficiary_pin=maybe_pin,
        recipient_pin=maybe_pin,
        programme_code=st.sampled_from(["GIFT", "FUNERAL"]),
        state=st.sampled_from(["PLANNED", "PAID", "STOPPED"]),
        amount_vnd=st.just(1),
        paid_at=st.sampled_from([None, datetime(2025, 7, 10, 2, tzinfo=UTC), datetime(2025, 7, 30, 2, tzinfo=UTC)]),
    ),
    event(
        "dossier.submitted",
        source_system=st.sampled_from(["dvcqg", "tinh"]),
        dossier_code=st.sampled_from(["H42.1-250701-0001", "H42.1-250701-0002"]),
        procedure_code=st.just(PROCEDURE),
        applicant_pin=maybe_pin,
        applicant_name=st.sampled_from([None, "trần hòa", "Lê B"]),
        applicant_type=st.sampled_from([None, "CITIZEN", "BUSINESS"]),
    ),
    event(
        "dossier.progressed",
        source_system=st.sampled_from(["dvcqg", "tinh"]),
        dossier_code=st.sampled_from(["H42.1-250701-0001", "H42.1-250701-0002"]),
        status=st.sampled_from(["ACCEPTED", "RESULT_READY", "RESULT_RETURNED"]),
    ),
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[str, Event]]]:
    """Events of people and of a few things that are theirs, numbered by source, in any order, parted into batches."""
    things = draw(st.lists(st.sampled_from(THINGS), min_size=1, max_size=2))
    said = draw(st.lists(st.one_of(PERSON, PERSON, *things), min_size=5, max_size=24))
    numbered: list[tuple[str, Event]] = [
        (subject, {**row, "source_version": number}) for number, (subject, row) in enumerate(said, 1)
    ]
    mixed = draw(st.permutations(numbered))
    cuts = sorted(draw(st.sets(st.integers(1, len(mixed)), max_size=6)) | {len(mixed)})
    return [mixed[begin:end_] for begin, end_ in zip([0, *cuts], cuts, strict=False)]


@pytest.fixture(scope="module")
def people(engine: RunningEngine) -> Iterator[Whole]:
    """A warehouse that knows one procedure."""
    name = f"people_{uuid.uuid4().hex[:12]}"
    with GuardedDecoder(20.0, 2048) as decoder:
        made = open_whole(engine.create_database(name), decoder)
        made.send("procedure.changed", {"procedure_code": PROCEDURE, "name": "x", "source_system": "dvcqg"})
        yield made
        made.engine.dispose()
    engine.engine.drop_database(name)


def is_as_the_rules_say(people: Whole, batches: list[list[tuple[str, Event]]]) -> None:
    with people.engine.begin() as connection:
        connection.execute(text(_CLEAR))
    for batch in batches:
        by_subject: dict[str, list[Event]] = {}
        for subject, row in batch:
            by_subject.setdefault(subject, []).append(row)
        people.commit(*(people.polled(subject, rows) for subject, rows in by_subject.items()))
    held = people_oracle.Held(item for batch in batches for item in batch)
    standing = people.rows("SELECT flag, key, part, cause_key FROM flag WHERE closed_at IS NULL")
    assert {tuple(row) for row in standing} == people_oracle.flags(held, key_of)
    asked = people.rows(
        "SELECT kind, aspect, key, part, field FROM review WHERE closed_at IS NULL "
        "AND kind IN ('POSSIBLE_DUPLICATE_PERSON', 'IDENTITY_MISMATCH')"
    )
    assert {tuple(row) for row in asked} == people_oracle.reviews(held, key_of)
    assert len(asked) == len({tuple(row) for row in asked})


@settings(max_examples=EXAMPLES)
@given(histories())
def test_i4_flags_and_reviews_of_people_are_what_the_rules_say_in_any_order(
    people: Whole, batches: list[list[tuple[str, Event]]]
) -> None:
    is_as_the_rules_say(people, batches)


@pytest.mark.soak
@settings(max_examples=SOAK)
@given(histories())
def test_i4_flags_and_reviews_of_people_at_length(people: Whole, batches: list[list[tuple[str, Event]]]) -> None:
    is_as_the_rules_say(people, batches)
