"""Several keys of one thing: replaced PINs, a dossier's codes in several systems, people merged by decision."""

from typing import Any
from uuid import UUID

from hub.codec.decode import decode
from hub.model.declaration import Entity
from hub.model.entities import CITIZEN, DOSSIER
from hub.share.compose import Composer
from hub.warehouse.fingerprint import warehouse_state
from tests.support.whole_world import DAY, SECRET, Whole, key_of

OLD, NEW = "000299000001", "000299000002"
PORTAL, PROVINCE = "H42.12.34-250801-0001", "NB-2025-77"


def person(pin: str, version: int = 1, **more: Any) -> dict[str, Any]:
    return {"source_system": "dancu", "source_version": version, "pin": pin, "full_name": "Trần An", **more}


def lives(pin: str, **more: Any) -> dict[str, Any]:
    return {"source_system": "cutru", "pin": pin, "kind": "PERMANENT", **more}


def decision(what: str, version: int) -> dict[str, Any]:
    first, second = sorted([key_of("citizen.changed", OLD), key_of("citizen.changed", NEW)])
    return {
        "source_system": "hub.desk",
        "source_version": version,
        "review_key": "q1",
        "kind": "POSSIBLE_DUPLICATE_PERSON",
        "aspect": "citizen.person",
        "subject_key": first,
        "other_key": second,
        "part": "",
        "field": "",
        "source_code": "dancu",
        "decision": what,
        "officer": "CB01",
        "reason": "cùng một người",
    }


def published(whole: Whole, entity: Entity, *keys: UUID) -> dict[UUID, dict[str, Any] | None]:
    with whole.engine.connect() as connection:
        composed = Composer(entity, SECRET).compose(connection, keys)
    return {key: None if value is None else decode(value)[1] for key, value in composed.items()}


def groups(whole: Whole) -> set[tuple[UUID, UUID]]:
    return {(row.key, row.canonical) for row in whole.rows("SELECT key, canonical FROM same_key")}


def test_replaced_pin_keeps_one_person_with_both_numbers(whole: Whole) -> None:
    old, new = key_of("citizen.changed", OLD), key_of("citizen.changed", NEW)
    whole.send("citizen.changed", person(OLD))
    whole.send("residence.changed", lives(OLD))
    whole.send("citizen.changed", person(NEW, previous_pin=OLD, occurred_at=DAY.replace(day=2)))
    assert groups(whole) == {(old, new), (new, new)}
    records = published(whole, CITIZEN, old)
    assert records[old] is None
    record = records[new]
    assert record is not None
    assert record["pin"] == NEW
    assert record["person"]["previous_pin"] == OLD
    assert [home["kind"] for home in record["residences"]] == ["PERMANENT"]


def test_link_does_not_depend_on_order_and_share_hears_of_both_keys(whole: Whole) -> None:
    old, new = key_of("citizen.changed", OLD), key_of("citizen.changed", NEW)
    whole.send("citizen.changed", person(NEW, previous_pin=OLD))
    assert {row.key for row in whole.rows("SELECT key FROM touched WHERE entity = 'citizen'")} == {old, new}
    assert groups(whole) == {(old, new), (new, new)}


def test_link_goes_when_the_source_no_longer_says_so(whole: Whole) -> None:
    whole.send("citizen.changed", person(OLD), person(NEW, previous_pin=OLD))
    whole.send("citizen.changed", person(NEW, version=2))
    assert groups(whole) == set()
    old, new = key_of("citizen.changed", OLD), key_of("citizen.changed", NEW)
    records = published(whole, CITIZEN, old, new)
    assert [record and record["pin"] for record in (records[old], records[new])] == [OLD, NEW]


def test_placeholder_ties_nobody_together(whole: Whole) -> None:
    whole.send("citizen.changed", person(OLD, previous_pin="000000001"), person(NEW, previous_pin="000000001"))
    assert groups(whole) == set()


def test_codes_of_two_systems_are_one_dossier(whole: Whole) -> None:
    whole.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": "1.001193", "name": "Khai sinh"})
    whole.send(
        "dossier.submitted",
        {
            "source_system": "dvcqg",
            "dossier_code": PORTAL,
            "procedure_code": "1.001193",
            "alt_codes": [{"system": "tinh", "code": PROVINCE}],
        },
    )
    whole.send("dossier.progressed", {"source_system": "tinh", "dossier_code": PROVINCE, "status": "ACCEPTED"})
    portal, province = key_of("dossier.submitted", PORTAL), key_of("dossier.submitted", PROVINCE)
    records = published(whole, DOSSIER, province)
    assert records[province] is None
    record = records[portal]
    assert record is not None
    assert record["dossier_code"] == PORTAL
    assert record["submission"]["source"] == "dvcqg"
    assert record["progress"]["status"] == "ACCEPTED"


def test_group_member_of_higher_authority_wins(whole: Whole) -> None:
    whole.send("citizen.changed", person(OLD, full_name="Trần An"))
    whole.send("citizen.changed", person(NEW, source_system="tinh", full_name="Tran An", previous_pin=OLD))
    old, new = key_of("citizen.changed", OLD), key_of("citizen.changed", NEW)
    record = published(whole, CITIZEN, old)[new]
    assert record is not None
    assert (record["pin"], record["person"]["full_name"]) == (NEW, "Trần An")


def test_people_are_merged_by_decision_and_undone_bit_for_bit(whole: Whole) -> None:
    old, new = key_of("citizen.changed", OLD), key_of("citizen.changed", NEW)
    whole.send("citizen.changed", person(OLD), person(NEW))
    whole.send("residence.changed", lives(OLD), lives(NEW, kind="TEMPORARY"))
    before = published(whole, CITIZEN, old, new)
    with whole.engine.connect() as connection:
        state = warehouse_state(connection)
    whole.send("review.decided", decision("TAKE", 1))
    merged = published(whole, CITIZEN, old, new)
    kept = [record for record in merged.values() if record is not None]
    assert [len(record["residences"]) for record in kept] == [2]
    whole.send("review.decided", decision("KEEP", 2))
    assert groups(whole) == set()
    assert published(whole, CITIZEN, old, new) == before
    with whole.engine.connect() as connection:
        after = warehouse_state(connection)
    changed = {name for name in state if state[name] != after[name]}
    assert changed <= {"review_decision_claim", "review_decision_record"}
