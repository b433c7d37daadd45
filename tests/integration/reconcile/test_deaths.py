"""What a death must end and has not: one worked case per rule, the death first or the other side first."""

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from hub.codec.decode import decode
from hub.model.decisions import Decision, ReviewId, ReviewKind, Verdict
from hub.reconcile.fence import Stamp
from hub.reconcile.merge import commit_batch
from hub.reconcile.shared.stage import ensure_stages
from hub.share.flags import FlagComposer
from hub.share.outbox import changes_in, open_spans
from tests.support.whole_world import DAY, POLICY, SECRET, Whole, key_of

PIN, NEW_PIN = "001299000001", "001299000002"
CODE, OTHER_CODE = "H42.1-250701-0001", "000.00.01.H42-250701-0009"
DEAD = {
    "pin": PIN,
    "full_name": "Trần Hòa",
    "source_system": "dancu",
    "life_status": "DEAD",
    "life_status_year": 2025,
    "life_status_month": 7,
    "life_status_day": 15,
}
ALIVE = DEAD | {"life_status": "ALIVE", "life_status_year": None, "life_status_month": None, "life_status_day": None}
CARD = {"pin": PIN, "link_state": "MATCHED", "source_system": "bhxh"}
HOME = {"pin": PIN, "kind": "PERMANENT", "action": "REGISTER", "source_system": "cutru"}
EID = {"pin": PIN, "eid_state": "UNLOCKED", "source_system": "cancuoc"}
PAYMENT = {"payment_id": "p1", "beneficiary_pin": PIN, "programme_code": "PENSION_SI", "state": "PLANNED",
           "amount_vnd": 1, "source_system": "chitra"}  # fmt: skip
DOSSIER = {"dossier_code": CODE, "procedure_code": "1.001193", "applicant_pin": PIN, "source_system": "dvcqg"}
STEP = {"dossier_code": CODE, "source_system": "dvcqg"}
Thing = tuple[str, dict[str, Any]]

FLAGGED: dict[str, tuple[str, Thing, Thing]] = {
    "insurance without end, then ended when it was told": (
        "DECEASED_HOLDS_INSURANCE",
        ("health_insurance.linked", CARD),
        ("health_insurance.linked", CARD | {"valid_to": date(2025, 7, 31)}),
    ),
    "insurance beyond the death, then ended with it": (
        "DECEASED_HOLDS_INSURANCE",
        ("health_insurance.linked", CARD | {"valid_to": date(2026, 12, 31)}),
        ("health_insurance.linked", CARD | {"valid_to": date(2025, 7, 15)}),
    ),
    "insurance, then taken back": (
        "DECEASED_HOLDS_INSURANCE",
        ("health_insurance.linked", CARD),
        ("health_insurance.linked", CARD | {"operation": "REVOKE"}),
    ),
    "residence, then deleted": (
        "DECEASED_RESIDENT",
        ("residence.changed", HOME),
        ("residence.changed", HOME | {"action": "DELETE"}),
    ),
    "e-ID unlocked, then locked": (
        "DECEASED_EID_ACTIVE",
        ("identity.changed", EID),
        ("identity.changed", EID | {"eid_state": "LOCKED"}),
    ),
    "payment under way, then stopped": (
        "DECEASED_PAYEE",
        ("social_payment.changed", PAYMENT),
        ("social_payment.changed", PAYMENT | {"state": "STOPPED"}),
    ),
    "payment to the one who receives it for another, then for somebody else": (
        "DECEASED_PAYEE",
        ("social_payment.changed", PAYMENT | {"beneficiary_pin": None, "recipient_pin": PIN}),
        ("social_payment.changed", PAYMENT | {"beneficiary_pin": None, "recipient_pin": NEW_PIN}),
    ),
    "paid after the death, then recovered": (
        "DECEASED_PAYEE",
        ("social_payment.changed", PAYMENT | {"state": "PAID", "paid_at": datetime(2025, 7, 16, tzinfo=UTC)}),
        ("social_payment.changed", PAYMENT | {"state": "RECOVERED"}),
    ),
    "open dossier, then withdrawn": (
        "DECEASED_APPLICANT",
        ("dossier.submitted", DOSSIER),
        ("dossier.progressed", STEP | {"status": "WITHDRAWN"}),
    ),
}  # fmt: skip


def know_procedure(whole: Whole) -> None:
    whole.send("procedure.changed", {"procedure_code": "1.001193", "name": "x", "source_system": "dvcqg"})


def flags(whole: Whole) -> list[str]:
    return [row.flag for row in whole.rows("SELECT flag FROM flag WHERE closed_at IS NULL ORDER BY flag")]


@pytest.mark.parametrize("death_first", [True, False])
@pytest.mark.parametrize("case", FLAGGED)
def test_flag_opens_with_the_later_of_two_and_closes_when_the_thing_ends(
    whole: Whole, case: str, death_first: bool
) -> None:
    know_procedure(whole)
    name, (subject, thing), (later_subject, later) = FLAGGED[case]
    first, second = ("citizen.changed", DEAD), (subject, thing)
    for sent_subject, sent in (first, second) if death_first else (second, first):
        assert flags(whole) == []
        whole.send(sent_subject, sent)
    assert flags(whole) == [name]
    whole.send(later_subject, later | {"source_version": 2})
    assert flags(whole) == []
    (closed,) = whole.rows("SELECT opened_at, closed_at, cause_key FROM flag")
    assert closed.opened_at <= closed.closed_at
    assert closed.cause_key == key_of("citizen.changed", PIN)


@pytest.mark.parametrize(
    "thing",
    [
        ("social_payment.changed", PAYMENT | {"programme_code": "FUNERAL", "recipient_pin": NEW_PIN}),
        ("social_payment.changed", PAYMENT | {"state": "PAID", "paid_at": datetime(2025, 7, 14, tzinfo=UTC)}),
        ("social_payment.changed", PAYMENT | {"state": "FAILED"}),
        ("health_insurance.linked", CARD | {"valid_to": date(2025, 7, 15)}),
        ("identity.changed", EID | {"eid_state": "NOT_ACTIVATED"}),
    ],
)
def test_what_ended_in_time_or_is_paid_because_of_the_death_is_not_flagged(whole: Whole, thing: Thing) -> None:
    whole.send("citizen.changed", DEAD)
    whole.send(*thing)
    assert flags(whole) == []


def test_flags_close_when_the_death_is_corrected_and_open_when_it_is_told_again(whole: Whole) -> None:
    whole.send("citizen.changed", DEAD)
    whole.send("health_insurance.linked", CARD)
    whole.send("residence.changed", HOME, HOME | {"kind": "TEMPORARY"})
    assert flags(whole) == ["DECEASED_HOLDS_INSURANCE", "DECEASED_RESIDENT", "DECEASED_RESIDENT"]
    whole.send("citizen.changed", ALIVE | {"source_version": 2, "operation": "CORRECT"})
    assert (flags(whole), whole.rows("SELECT key FROM deceased")) == ([], [])
    whole.send("citizen.changed", DEAD | {"source_version": 3})
    assert len(flags(whole)) == 3
    whole.send("citizen.changed", DEAD | {"source_version": 4, "operation": "REVOKE"})
    assert flags(whole) == []


def test_missing_person_is_known_and_raises_no_flag(whole: Whole) -> None:
    whole.send("citizen.changed", DEAD | {"life_status": "MISSING"})
    whole.send("health_insurance.linked", CARD)
    assert whole.value("SELECT state FROM deceased") == "MISSING"
    assert flags(whole) == []


def test_partial_date_of_death_is_kept_as_given_and_counts_from_its_first_day(whole: Whole) -> None:
    whole.send("citizen.changed", DEAD | {"life_status_month": 2, "life_status_day": 31})
    assert whole.value("SELECT died_on FROM deceased") == date(2025, 2, 28)
    whole.send("citizen.changed", DEAD | {"life_status_month": None, "life_status_day": None, "source_version": 2})
    (row,) = whole.rows("SELECT died_year, died_month, died_day, died_on FROM deceased")
    assert tuple(row) == (2025, None, None, date(2025, 1, 1))


def test_impossible_year_of_death_does_no_harm(whole: Whole) -> None:
    whole.send("citizen.changed", DEAD | {"life_status_year": 0})
    assert whole.value("SELECT died_on FROM deceased") is None
    assert whole.outcomes("citizen.changed") == ["applied"]


def test_death_told_by_a_lower_authority_counts_only_while_no_higher_one_speaks(whole: Whole) -> None:
    whole.send("health_insurance.linked", CARD)
    whole.send("citizen.changed", DEAD | {"source_system": "tinh"})
    assert len(flags(whole)) == 1
    whole.send("citizen.changed", ALIVE)
    assert flags(whole) == []
    whole.send("citizen.changed", ALIVE | {"operation": "REVOKE", "source_version": 2})
    assert len(flags(whole)) == 1


def test_death_that_an_officer_takes_from_a_lower_authority_raises_flags(whole: Whole) -> None:
    whole.send("health_insurance.linked", CARD)
    whole.send("citizen.changed", ALIVE)
    whole.send("citizen.changed", DEAD | {"source_system": "tinh"})
    assert flags(whole) == []
    key = key_of("citizen.changed", PIN)
    about = ReviewId(ReviewKind.CONFLICT, "citizen.person", key, "", "life_status", "tinh")
    seen = whole.value("SELECT content_hash FROM citizen_person_claim WHERE life_status = 'DEAD'")
    decided = Decision(about, Verdict.TAKE, "cb-01", "giấy chứng tử", DAY, seen_other_hash=seen)
    whole.send("review.decided", decided.event("hub.desk", "H42"))
    assert flags(whole) == ["DECEASED_HOLDS_INSURANCE"]


def test_death_under_one_number_reaches_what_is_held_under_the_other(whole: Whole) -> None:
    whole.send("health_insurance.linked", CARD)
    replaced = DEAD | {"pin": NEW_PIN, "previous_pin": PIN}
    whole.send("citizen.changed", replaced)
    assert flags(whole) == ["DECEASED_HOLDS_INSURANCE"]
    whole.send("citizen.changed", replaced | {"previous_pin": None, "source_version": 2})
    assert flags(whole) == []
    whole.send("citizen.changed", replaced | {"source_version": 3})
    assert flags(whole) == ["DECEASED_HOLDS_INSURANCE"]


def test_dossier_finished_under_another_of_its_codes_is_not_open(whole: Whole) -> None:
    know_procedure(whole)
    whole.send("citizen.changed", DEAD)
    whole.send("dossier.submitted", DOSSIER | {"alt_codes": [{"system": "motcua", "code": OTHER_CODE}]})
    assert flags(whole) == ["DECEASED_APPLICANT"]
    whole.send("dossier.progressed", STEP | {"dossier_code": OTHER_CODE, "status": "STOPPED"})
    assert flags(whole) == []
    whole.send("dossier.submitted", DOSSIER | {"source_version": 2})
    assert flags(whole) == ["DECEASED_APPLICANT"]


def test_share_publishes_flags_and_tombstones_without_personal_data(whole: Whole) -> None:
    whole.send("citizen.changed", DEAD)
    whole.send("residence.changed", HOME)
    with whole.engine.connect() as connection:
        (flag,) = changes_in(connection, open_spans(connection)).keys["flag"]
        value = FlagComposer(SECRET).compose(connection, [flag])[flag]
    assert value is not None
    _, fields = decode(value)
    assert fields["flag"] == "DECEASED_RESIDENT"
    assert (fields["entity"], fields["aspect"], fields["part"]) == ("citizen", "citizen.residence", "PERMANENT")
    assert fields["subject_key"] == fields["cause_key"] == key_of("citizen.changed", PIN).bytes
    assert PIN.encode() not in value
    whole.send("residence.changed", HOME | {"action": "DELETE", "source_version": 2})
    with whole.engine.connect() as connection:
        assert FlagComposer(SECRET).compose(connection, [flag]) == {flag: None}


@pytest.mark.parametrize("death_first", [True, False])
def test_death_and_a_thing_written_at_once_see_each_other(whole: Whole, death_first: bool) -> None:
    """The second waits for the first: whichever it is, the flag opens."""
    both: list[Thing] = [("citizen.changed", DEAD), ("health_insurance.linked", CARD)]
    (first, one), (second, other) = both if death_first else both[::-1]
    batch = whole.preparer.prepare([whole.polled(first, [one])])
    with whole.engine.connect() as connection:
        ensure_stages(connection)
        with connection.begin():
            commit_batch(connection, batch, Stamp("test", POLICY.digest))
            waiting = threading.Thread(target=whole.send, args=(second, other))
            waiting.start()
            wait_until_blocked(connection)
    waiting.join(20)
    assert not waiting.is_alive()
    assert flags(whole) == ["DECEASED_HOLDS_INSURANCE"]


def wait_until_blocked(connection: Connection) -> None:
    blocked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    give_up = datetime.now(UTC) + timedelta(seconds=20)
    while not connection.execute(blocked).scalar_one():
        assert datetime.now(UTC) < give_up, "the second transaction did not wait"
