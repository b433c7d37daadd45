"""Events whose reference is not there yet: parked by key in order, released when it comes, asked about in time."""

from typing import Any

import pytest

from hub.model.errors import ConcurrentUpdateError
from hub.model.flags import Flag
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import read_ledger
from tests.support.whole_world import Whole, key_of

CODE = "H42.12.34-250801-0001"
OTHER = "H42.12.34-250801-0002"


def filing(code: str = CODE, version: int = 1, procedure: str = "1.001193", **more: Any) -> dict[str, Any]:
    return {
        "source_system": "dvcqg",
        "source_version": version,
        "dossier_code": code,
        "procedure_code": procedure,
        **more,
    }


def procedure(code: str = "1.001193") -> dict[str, Any]:
    return {"source_system": "dvcqg", "procedure_code": code, "name": "Khai sinh"}


def unit(code: str = "00004") -> dict[str, Any]:
    return {
        "source_system": "nso",
        "scheme": "GSO_2025",
        "unit_code": code,
        "level": "COMMUNE",
        "unit_type": "PHUONG",
        "name": "Ba Đình",
    }


def versions(whole: Whole) -> list[tuple[str, int]]:
    rows = whole.rows("SELECT dossier_code, source_version FROM dossier_submission_claim ORDER BY dossier_code")
    return [(row.dossier_code, row.source_version) for row in rows]


def test_event_waits_for_its_procedure_and_other_keys_flow_on(whole: Whole) -> None:
    whole.send("procedure.changed", procedure("2.000889"))
    whole.send("dossier.submitted", filing(), filing(OTHER, procedure="2.000889.000.00.00.H42"))
    assert whole.outcomes("dossier.submitted") == ["parked", "applied"]
    assert whole.rows("SELECT reason, detail FROM audit WHERE outcome = 'parked'") == [
        ("REFERENCE_MISSING", "procedure:1.001193")
    ]
    assert versions(whole) == [(OTHER, 1)]


def test_later_events_of_the_key_wait_behind_it_and_all_are_released_in_order(whole: Whole) -> None:
    whole.send("procedure.changed", procedure("2.000889"))
    whole.send("dossier.submitted", filing(version=1, procedure="2.000889"), filing(version=2), filing(OTHER))
    whole.send("dossier.submitted", filing(version=3, procedure="2.000889"))
    assert whole.outcomes("dossier.submitted") == ["applied", "parked", "parked", "parked"]
    assert versions(whole) == [(CODE, 1)]
    assert whole.release() == 0
    whole.send("procedure.changed", procedure())
    assert whole.release(most=1) == 3
    assert versions(whole) == [(CODE, 3), (OTHER, 1)]
    rows = whole.rows("SELECT log_offset, outcome FROM release ORDER BY log_offset")
    assert [(row.log_offset, row.outcome) for row in rows] == [(1, "applied"), (2, "applied"), (3, "applied")]
    assert whole.value("SELECT count(*) FROM parked") == 0


def test_i5_ledger_counts_a_released_record_once(whole: Whole) -> None:
    whole.send("dossier.submitted", filing(), filing(OTHER))
    whole.send("procedure.changed", procedure())
    whole.release()
    whole.send("dossier.submitted", filing("H42.12.34-250801-0003", procedure="9.999999"))
    with whole.engine.connect() as connection:
        rows = [row for row in read_ledger(connection) if row.topic == "hub.dossier.submitted.v1" and row.consumed]
    assert [(row.consumed, row.outcomes[Outcome.APPLIED], row.outcomes[Outcome.PARKED]) for row in rows] == [(3, 2, 1)]
    assert all(row.balanced for row in rows)


def test_residence_waits_for_its_unit(whole: Whole) -> None:
    lives = {"source_system": "cutru", "pin": "000299000001", "kind": "PERMANENT", "commune_code": "00004"}
    whole.send("residence.changed", lives)
    assert whole.outcomes("residence.changed") == ["parked"]
    whole.send("admin_unit.changed", unit())
    assert whole.release() == 1
    assert whole.value("SELECT count(*) FROM citizen_residence_claim") == 1


def test_dossier_waits_for_the_commune_of_its_applicant_and_has_the_flag_if_it_is_let_in_without(whole: Whole) -> None:
    whole.send("procedure.changed", procedure())
    whole.send("admin_unit.changed", unit())
    known, unknown = (
        filing(code, applicant_commune_code=commune) for code, commune in ((CODE, "00004"), (OTHER, "99999"))
    )
    whole.send("dossier.submitted", known, unknown)
    assert whole.outcomes("dossier.submitted") == ["applied", "parked"]
    assert whole.rows("SELECT waits_for FROM parked") == [("admin_unit:GSO_2025:99999",)]
    with whole.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE parked SET let_in = true")
    assert whole.release() == 1
    claims = "SELECT dossier_code, flags FROM dossier_submission_claim ORDER BY dossier_code"
    assert [(code, (flags or 0) & Flag.UNKNOWN_UNIT) for code, flags in whole.rows(claims)] == [
        (CODE, 0),
        (OTHER, Flag.UNKNOWN_UNIT),
    ]


def test_code_of_before_a_recoding_is_looked_up_in_its_own_scheme(whole: Whole) -> None:
    whole.send("admin_unit.changed", unit(), unit("00001") | {"scheme": "GSO_2004"})
    lives = {"source_system": "cutru", "kind": "PERMANENT", "commune_code": "00004"}
    old = [
        ("000299000001", "00001", "GSO_2004"),
        ("000299000002", "00004", "GSO_2004"),
        ("000299000003", "00001", None),
    ]
    for pin, code, scheme in old:
        was = {"recode_from_commune_code": code, "recode_from_scheme": scheme}
        whole.send("residence.changed", lives | {"pin": pin} | was)
    assert whole.outcomes("residence.changed") == ["applied", "parked", "applied"]
    assert whole.rows("SELECT waits_for FROM parked") == [("admin_unit:GSO_2004:00004",)]


def test_child_waits_for_its_parent_dossier_unless_it_comes_with_it(whole: Whole) -> None:
    whole.send("procedure.changed", procedure())
    whole.send("dossier.submitted", filing(OTHER, linked_parent_code=CODE))
    assert whole.outcomes("dossier.submitted") == ["parked"]
    whole.send("dossier.submitted", filing(), filing("H42.12.34-250801-0009", linked_parent_code=CODE))
    assert whole.outcomes("dossier.submitted") == ["parked", "applied", "applied"]
    assert whole.release() == 1
    assert [code for code, _ in versions(whole)] == [CODE, OTHER, "H42.12.34-250801-0009"]


def test_record_that_misses_two_things_waits_for_the_second_too(whole: Whole) -> None:
    whole.send("dossier.submitted", filing(OTHER, linked_parent_code=CODE))
    whole.send("procedure.changed", procedure())
    whole.release()
    assert whole.rows("SELECT waits_for FROM parked") == [(f"dossier:{key_of('dossier.submitted', CODE)}",)]
    whole.send("dossier.submitted", filing())
    assert whole.release() == 1
    assert whole.value("SELECT count(*) FROM release") == 1


def test_value_that_cannot_be_a_key_is_left_out_and_nothing_waits_for_it(whole: Whole) -> None:
    whole.send("procedure.changed", procedure())
    whole.send("dossier.submitted", filing(OTHER, linked_parent_code=" of no shape"))
    assert whole.rows("SELECT waits_for FROM parked") == []
    note = "linked_parent_code DROPPED WRONG_FORM"
    query = "SELECT linked_parent_code, linked_parent_code_key, doubtful_fields FROM dossier_submission_claim"
    assert whole.rows(query) == [(None, None, note)]


def test_deadline_turns_what_waits_into_a_review_that_closes_on_release(whole: Whole) -> None:
    whole.send("dossier.submitted", filing())
    whole.release()
    assert whole.value("SELECT count(*) FROM review") == 0
    with whole.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE parked SET parked_at = parked_at - interval '4 days'")
    whole.release()
    assert whole.rows("SELECT kind, aspect, detail->>'waits_for', closed_at FROM review") == [
        ("REFERENCE_MISSING", "dossier.submission", "procedure:1.001193", None)
    ]
    whole.send("procedure.changed", procedure())
    whole.release()
    assert whole.value("SELECT closed_at IS NOT NULL FROM review")


def test_record_that_is_let_in_counts_without_its_reference(whole: Whole) -> None:
    whole.send("dossier.submitted", filing())
    with whole.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE parked SET let_in = true")
    assert whole.release() == 1
    assert versions(whole) == [(CODE, 1)]


def test_two_workers_never_release_the_same_record_twice(whole: Whole) -> None:
    whole.send("dossier.submitted", filing())
    whole.send("procedure.changed", procedure())
    found = whole.store.releasable(10, thorough=True)
    batches = [whole.preparer.prepare_released(found) for _ in range(2)]
    whole.store.commit(batches[0])
    with pytest.raises(ConcurrentUpdateError):
        whole.store.commit(batches[1])
    assert whole.value("SELECT count(*) FROM release") == 1
