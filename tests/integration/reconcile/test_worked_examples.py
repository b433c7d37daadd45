"""The worked examples of docs/reconciliation.md, one test each, with the names and dates that stand there."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from hub.codec.decode import decode
from hub.log.places import Place
from hub.model.decisions import Decision, ReviewId, ReviewKind, Verdict
from hub.model.entities import CITIZEN, DOSSIER
from hub.model.outcomes import Outcome
from hub.model.policies.policy import parse_policy
from hub.operate.desk.policy import apply_policy, plan_policy
from hub.operate.records.claims import Identity, Speaker
from hub.operate.records.history import Event, Limits, Standing, fold
from hub.operate.units.recode import Job, execute_recode
from hub.share.compose import Composer
from tests.support.whole_world import POLICY, POLICY_TEXT, SECRET, Whole, key_of

PIN, OTHER_PIN = "001299000123", "001299000456"
CODE = "H42.12.34-250801-0001"


def day(number: int, month: int = 8, hour: int = 2) -> datetime:
    return datetime(2025, month, number, hour, tzinfo=UTC)


def person(source: str, version: int, name: str = "Trần Văn An", **more: Any) -> dict[str, Any]:
    return {"source_system": source, "source_version": version, "pin": PIN, "full_name": name, **more}


def record(whole: Whole, pin: str = PIN) -> dict[str, Any] | None:
    return published(whole, CITIZEN, key_of("citizen.changed", pin))


def published(whole: Whole, entity: Any, key: UUID) -> dict[str, Any] | None:
    with whole.engine.connect() as connection:
        value = Composer(entity, SECRET).compose(connection, [key])[key]
    return None if value is None else decode(value)[1]


def name_held(whole: Whole) -> tuple[str, str]:
    found = record(whole)
    assert found is not None
    return found["person"]["source"], found["person"]["full_name"]


def open_conflicts(whole: Whole) -> list[str]:
    return [row.field for row in whole.rows("SELECT field FROM conflict WHERE closed_at IS NULL ORDER BY field")]


def questions(whole: Whole) -> list[str]:
    return [row.kind for row in whole.rows("SELECT kind FROM review WHERE closed_at IS NULL ORDER BY kind")]


def decided(whole: Whole, verdict: Verdict, aspect: str, field: str, source: str, **more: Any) -> None:
    of = ReviewId(more.pop("kind", ReviewKind.CONFLICT), aspect, key_of("citizen.changed", PIN), "", field, source)
    hashes = {
        row.code: row.content_hash
        for row in whole.rows(
            "SELECT s.code, content_hash FROM citizen_person_claim c JOIN source s ON s.id = c.source"
        )
    }
    decision = Decision(
        of=of,
        verdict=verdict,
        officer="CB-0042",
        reason="đối chiếu hồ sơ gốc",
        decided_at=more.pop("at", day(20)),
        seen_held_hash=hashes.get("dancu"),
        seen_other_hash=hashes.get(source),
        **more,
    )
    whole.send("review.decided", decision.event("hub.desk", "H42"))


def procedure(whole: Whole) -> None:
    whole.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": "1.001193", "name": "Khai sinh"})


def unit(code: str, name: str, scheme: str = "GSO_2025", **more: Any) -> dict[str, Any]:
    return {
        "source_system": "nso",
        "scheme": scheme,
        "unit_code": code,
        "level": "COMMUNE",
        "unit_type": "PHUONG",
        "name": name,
        "valid_from": date(2025, 7, 1) if scheme == "GSO_2025" else date(2004, 7, 8),
        "valid_to": None if scheme == "GSO_2025" else date(2025, 7, 1),
        **more,
    }


def link(code: str, share: str = "FULL", is_default: bool = True) -> dict[str, Any]:
    return {"scheme": "GSO_2025", "code": code, "share": share, "is_default": is_default}


def home(commune: str, scheme: str, occurred_at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "source_system": "cutru",
        "pin": PIN,
        "kind": "PERMANENT",
        "action": "REGISTER",
        "commune_code": commune,
        "unit_scheme": scheme,
        "occurred_at": occurred_at,
        **more,
    }


def test_example_the_higher_authority_holds_the_record(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1, occurred_at=day(1)))
    whole.send("citizen.changed", person("tinh", 9, "Trần Văn Ân", occurred_at=day(5)))
    assert name_held(whole) == ("dancu", "Trần Văn An")
    assert whole.outcomes("citizen.changed") == ["applied", "superseded"]


def test_example_a_late_event_does_not_undo_a_newer_one(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 3, "Trần Văn An"))
    whole.send("citizen.changed", person("dancu", 2, "Trần An"), person("dancu", 3, "Trần Văn An"))
    assert name_held(whole) == ("dancu", "Trần Văn An")
    assert whole.outcomes("citizen.changed") == ["applied", "stale", "duplicate"]


def test_example_a_source_takes_its_claim_back(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1), person("tinh", 1, "Trần Văn Ân"))
    whole.send("citizen.changed", person("dancu", 2, operation="REVOKE"))
    assert name_held(whole) == ("tinh", "Trần Văn Ân")


def test_example_a_version_is_used_twice(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1, "Trần Văn An"))
    whole.send("citizen.changed", person("dancu", 1, "Người Khác"))
    assert name_held(whole) == ("dancu", "Trần Văn An")
    (stored,) = whole.rows("SELECT content_hash FROM citizen_person_claim")
    (reused,) = whole.rows("SELECT content_hash, reason, detail FROM audit WHERE outcome = 'rejected'")
    assert reused.reason == "VERSION_REUSED"
    assert reused.detail == f"stored content_hash {stored.content_hash}"
    assert reused.content_hash != stored.content_hash


def test_example_a_conflict_opens_field_by_field_and_closes_by_itself(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1, birth_year=1990, birth_month=5))
    whole.send("citizen.changed", person("tinh", 1, "Trần Văn Ân", birth_year=1990))
    assert open_conflicts(whole) == ["full_name"]
    whole.send("citizen.changed", person("tinh", 2, "Trần Văn An", birth_year=1990))
    assert open_conflicts(whole) == []


def test_example_an_officer_keeps_what_is_held(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1), person("tinh", 1, "Trần Văn Ân"))
    decided(whole, Verdict.KEEP, "citizen.person", "full_name", "tinh")
    assert open_conflicts(whole) == []
    whole.send("citizen.changed", person("tinh", 2, "Trần Văn Ấn"))
    assert open_conflicts(whole) == ["full_name"]


def test_example_an_officer_takes_the_other(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1), person("tinh", 1, "Trần Văn Ân"))
    decided(whole, Verdict.TAKE, "citizen.person", "full_name", "tinh")
    assert name_held(whole) == ("tinh", "Trần Văn Ân")


def test_example_an_old_commune_that_went_whole_is_read_as_its_successor(whole: Whole) -> None:
    whole.send("admin_unit.changed", unit("00001", "Phúc Xá", "GSO_2004", successors=[link("00097")]))
    whole.send("admin_unit.changed", unit("00097", "Hồng Hà"))
    whole.send("residence.changed", home("00001", "GSO_2004", day(1, month=5)))
    found = record(whole)
    assert found is not None
    (lives,) = found["residences"]
    said_and_now = lives["commune_code"], lives["commune_code_now"], lives["unit_resolution"]
    assert said_and_now == ("00001", "00097", "EXACT")
    assert questions(whole) == []


def test_example_an_address_in_a_split_commune_waits_for_an_officer(whole: Whole) -> None:
    parts = ("00637", "00622", "00634", "09556", "09886")
    links = [link(code, "PART", code == "00637") for code in parts]
    whole.send("admin_unit.changed", unit("00634", "Đại Mỗ", "GSO_2004", successors=links))
    whole.send("admin_unit.changed", *(unit(code, f"Phường {code}") for code in parts))
    whole.send("residence.changed", home("00634", "GSO_2004", day(1, month=5)))
    found = record(whole)
    assert found is not None
    (lives,) = found["residences"]
    assert (lives["commune_code_now"], lives["unit_resolution"]) == (None, "AMBIGUOUS")
    assert questions(whole) == ["AMBIGUOUS_UNIT"]


def test_example_a_replaced_number_is_still_one_person(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1))
    whole.send("citizen.changed", person("dancu", 1, pin=OTHER_PIN, previous_pin=PIN))
    assert record(whole, PIN) is None
    found = record(whole, OTHER_PIN)
    assert found is not None
    assert (found["pin"], found["person"]["previous_pin"]) == (OTHER_PIN, PIN)


def test_example_two_numbers_with_one_old_card_are_merged_by_an_officer_only(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1, cmnd9="012345678"))
    whole.send("citizen.changed", person("dancu", 1, pin=OTHER_PIN, cmnd9="012345678"))
    assert questions(whole) == ["POSSIBLE_DUPLICATE_PERSON"]
    assert None not in (record(whole, PIN), record(whole, OTHER_PIN))
    (row,) = whole.rows("SELECT key, source, field, aspect, detail FROM review WHERE closed_at IS NULL")
    of = ReviewId(ReviewKind.POSSIBLE_DUPLICATE_PERSON, row.aspect, row.key, "", row.field, "dancu")
    for at, verdict, published_records in ((20, Verdict.TAKE, 1), (21, Verdict.KEEP, 2)):
        decision = Decision(
            of=of,
            verdict=verdict,
            officer="CB-0042",
            reason="đối chiếu hồ sơ gốc",
            decided_at=day(at),
            other_key=UUID(row.detail["other_key"]),
        )
        whole.send("review.decided", decision.event("hub.desk", "H42"))
        assert [record(whole, PIN), record(whole, OTHER_PIN)].count(None) == 2 - published_records


def test_example_a_death_is_held_against_what_it_ends(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1))
    whole.send("health_insurance.linked", {"source_system": "bhxh", "pin": PIN, "link_state": "MATCHED"})
    dead: dict[str, Any] = {
        "life_status": "DEAD",
        "life_status_year": 2025,
        "life_status_month": 7,
        "life_status_day": 2,
    }
    whole.send("citizen.changed", person("dancu", 2, **dead))
    standing = "SELECT flag FROM flag WHERE closed_at IS NULL"
    assert [row.flag for row in whole.rows(standing)] == ["DECEASED_HOLDS_INSURANCE"]
    ended = {"source_system": "bhxh", "source_version": 2, "pin": PIN, "link_state": "MATCHED"}
    whole.send("health_insurance.linked", {**ended, "valid_to": date(2025, 7, 2)})
    assert whole.rows(standing) == []


def step(version: int, status: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "source_system": "tinh",
        "source_version": version,
        "dossier_code": CODE,
        "status": status,
        "occurred_at": at,
        "due_at": day(8, hour=10),
        **more,
    }


def test_example_a_dossier_goes_backward(whole: Whole) -> None:
    whole.send("dossier.progressed", step(1, "RESULT_RETURNED", day(5)), step(2, "IN_PROCESS", day(6)))
    found = published(whole, DOSSIER, key_of("dossier.progressed", CODE))
    assert found is not None
    assert found["progress"]["status"] == "IN_PROCESS"
    assert questions(whole) == ["BACKWARD_STATUS"]


def test_example_a_correction_with_a_reason_may_go_back(whole: Whole) -> None:
    corrected = {"operation": "CORRECT", "status_reason": "trả nhầm kết quả"}
    whole.send("dossier.progressed", step(1, "RESULT_RETURNED", day(5)))
    whole.send("dossier.progressed", step(2, "IN_PROCESS", day(6), **corrected))
    assert questions(whole) == []


def test_example_codes_of_two_systems_are_one_dossier(whole: Whole) -> None:
    procedure(whole)
    filed = {"source_system": "dvcqg", "dossier_code": CODE, "procedure_code": "1.001193"}
    whole.send("dossier.submitted", {**filed, "alt_codes": [{"system": "tinh", "code": "NB-2025-77"}]})
    whole.send("dossier.progressed", step(1, "ACCEPTED", day(4), dossier_code="NB-2025-77"))
    found = published(whole, DOSSIER, key_of("dossier.submitted", CODE))
    assert found is not None
    assert (found["dossier_code"], found["progress"]["status"]) == (CODE, "ACCEPTED")
    assert published(whole, DOSSIER, key_of("dossier.submitted", "NB-2025-77")) is None


def test_example_the_clock_stands_while_the_citizen_must_supplement(whole: Whole) -> None:
    received = {"received_at": datetime(2025, 8, 4, 1, tzinfo=UTC), "due_at": datetime(2025, 8, 6, 10, tzinfo=UTC)}
    whole.send(
        "dossier.progressed",
        step(1, "ACCEPTED", datetime(2025, 8, 4, 1, tzinfo=UTC), **received),
        step(2, "SUPPLEMENT_REQUESTED", datetime(2025, 8, 5, 1, tzinfo=UTC), **received),
        step(3, "IN_PROCESS", datetime(2025, 8, 7, 1, tzinfo=UTC), **received),
        step(4, "RESULT_READY", datetime(2025, 8, 8, 3, tzinfo=UTC), **received, finished_at=day(8, hour=3)),
    )
    (deadline,) = whole.rows("SELECT * FROM dossier_deadline")
    assert deadline.paused_seconds == 2 * 8 * 3600
    assert deadline.on_time is True
    assert deadline.calendar_version


def test_example_a_filing_waits_for_its_procedure(whole: Whole) -> None:
    filed = {"source_system": "dvcqg", "dossier_code": CODE, "procedure_code": "1.001193"}
    whole.send("dossier.submitted", filed)
    assert whole.outcomes("dossier.submitted") == ["parked"]
    procedure(whole)
    assert whole.release() == 1
    assert published(whole, DOSSIER, key_of("dossier.submitted", CODE)) is not None


def test_example_a_flag_is_a_doubt_and_drops_nothing(whole: Whole) -> None:
    procedure(whole)
    filed = {"source_system": "dvcqg", "dossier_code": CODE, "procedure_code": "1.001193"}
    whole.send("dossier.submitted", {**filed, "applicant_pin": "000000001", "applicant_name": "Lê Hòa"})
    assert whole.outcomes("dossier.submitted") == ["applied"]
    assert whole.value("SELECT flags & 1 FROM audit WHERE flags IS NOT NULL") == 1


def test_example_a_payment_and_an_inspection_have_records_of_their_own(whole: Whole) -> None:
    payment = {"payment_id": "CT-1", "programme_code": "SOCIAL_PENSION", "amount_vnd": 500_000, "state": "APPROVED"}
    whole.send("social_payment.changed", {"source_system": "chitra", **payment})
    whole.send("inspection.changed", {"source_system": "thanhtra", "inspection_id": "TT-1", "phase": "ANNOUNCED"})
    assert whole.outcomes("social_payment.changed") == whole.outcomes("inspection.changed") == ["applied"]
    assert "amount_vnd" not in {
        row.column_name
        for row in whole.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'social_payment_payment_claim'"
        )
    }
    assert whole.value("SELECT amount_vnd FROM social_payment_payment_sensitive") == 500_000


def test_example_a_recode_is_no_move(whole: Whole) -> None:
    whole.send("admin_unit.changed", unit("00001", "Phúc Xá", "GSO_2004", successors=[link("00097")]))
    whole.send("admin_unit.changed", unit("00097", "Hồng Hà"))
    whole.send("residence.changed", home("00001", "GSO_2004", day(1, month=5)))
    before = whole.rows("SELECT * FROM citizen_residence_claim")
    with whole.engine.begin() as connection:
        assert execute_recode(connection, Job(date(2025, 7, 1), "CB-0042", "sắp xếp đơn vị", expected=1)) == 1
    (recoded,) = whole.rows("SELECT from_code, to_code FROM recode")
    assert (recoded.from_code, recoded.to_code) == ("00001", "00097")
    assert whole.rows("SELECT * FROM citizen_residence_claim") == before


def test_example_what_held_and_what_was_known(whole: Whole) -> None:
    def event(offset: int, version: int, name: str, occurred: datetime, recorded: datetime) -> Event:
        return Event(
            place=Place("hub.citizen.changed.v1", 0, offset),
            aspect="person",
            key=key_of("citizen.changed", PIN),
            outcome=Outcome.APPLIED,
            reason=None,
            source="dancu",
            epoch=1,
            version=version,
            occurred_at=occurred,
            event_id=None,
            content_hash=version,
            batch=offset,
            recorded_at=recorded,
            policy_digest="",
            values={"full_name": name, "operation": "UPDATE", "unit_scheme": "GSO_2025", "recorded_at": recorded},
        )

    events = [
        event(0, 1, "Trần An", day(1, month=7), day(1, month=7)),
        event(1, 2, "Trần Văn An", day(1), day(10)),
    ]

    def name(limits: Limits) -> str:
        of = Identity(key_of("citizen.changed", PIN), CITIZEN.aspect("person"))
        (side,) = fold(CITIZEN, of, events, Standing({"dancu": Speaker("dancu", "G01", "population", 0)}), limits)
        (claim,) = side.claims
        return str(claim.fields["full_name"])

    assert name(Limits(as_of=day(3))) == "Trần Văn An"
    assert name(Limits(known_at=day(3))) == "Trần An"
    assert name(Limits(as_of=day(3), known_at=day(3))) == "Trần An"


def test_example_a_changed_policy_decides_anew(whole: Whole) -> None:
    whole.send("citizen.changed", person("dancu", 1), person("tinh", 1, "Trần Văn Ân"))
    assert name_held(whole) == ("dancu", "Trần Văn An")
    first = parse_policy(
        POLICY_TEXT.replace('code = "tinh"', 'code = "tinh"\nauthority = {"citizen.person" = 0}')
        .replace('code = "dancu"', 'code = "dancu"\nauthority = {"citizen.person" = 1}')
        .encode()
    )
    plan = plan_policy(whole.engine, first)
    assert [(one.aspect, one.records) for one in plan.aspects] == [("citizen.person", 1)]
    assert name_held(whole) == ("dancu", "Trần Văn An")
    apply_policy(whole.engine, first, "CB-0042", "thẩm quyền mới")
    try:
        assert name_held(whole) == ("tinh", "Trần Văn Ân")
    finally:
        apply_policy(whole.engine, POLICY, "CB-0042", "như cũ")
    assert name_held(whole) == ("dancu", "Trần Văn An")
