"""An event dated far ahead waits for an officer and holds nobody up: what is corrected becomes the record."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.model.decisions import SUBJECT, Decision, ReviewId, ReviewKind, Verdict
from hub.model.errors import ConfigError
from hub.operate.dead_letters.parked import ParkedFilter, read_queues
from hub.operate.desk.reviews import Given, plan_decision
from hub.operate.ledger.balance import read_ledger
from hub.operate.records.questions import Question, QuestionFilter, open_questions
from hub.reconcile.parking.dated_ahead import settle_alert
from hub.warehouse.alerts import read_alerts
from tests.support.whole_world import DAY, Whole

PIN = "000299000123"
AHEAD = datetime(2099, 1, 1, tzinfo=UTC)
AHEAD_US = 4_070_908_800_000_000


def person(name: str, version: int, at: datetime = DAY, **more: Any) -> dict[str, Any]:
    return {
        "source_system": "dancu",
        "pin": PIN,
        "full_name": name,
        "source_version": version,
        "occurred_at": at,
        **more,
    }


def names(whole: Whole) -> list[str]:
    return [row.full_name for row in whole.rows("SELECT full_name FROM citizen_person_claim")]


def questions(whole: Whole) -> list[Question]:
    with whole.engine.connect() as connection:
        return open_questions(connection, QuestionFilter(kind=ReviewKind.TIME_IN_FUTURE))


def decided(whole: Whole, verdict: Verdict) -> None:
    (one,) = questions(whole)
    of = ReviewId(one.of.kind, one.of.aspect, one.of.key, one.of.part, one.of.field, one.of.source)
    decision = Decision(of, verdict, "CB01", "seen", datetime.now(UTC))
    whole.send(SUBJECT, decision.event("hub.desk", "G01"))


@pytest.mark.parametrize(
    "wrong",
    [
        person("Tên Một", AHEAD_US, AHEAD),
        person("Tên Một", AHEAD_US),
        person("Tên Một", AHEAD_US // 1000),
        person("Tên Một", 1, AHEAD),
        person("Tên Một", 1, AHEAD, recorded_at=AHEAD),
    ],
    ids=["both", "version in micros", "version in millis", "time", "publisher's clock too"],
)
@pytest.mark.parametrize("is_one_batch", [False, True])
def test_corrected_event_becomes_the_record(whole: Whole, wrong: dict[str, Any], is_one_batch: bool) -> None:
    right = person("Tên Hai", 2)
    if is_one_batch:
        whole.send("citizen.changed", wrong, right)
    else:
        whole.send("citizen.changed", wrong)
        whole.send("citizen.changed", right)
    assert whole.outcomes("citizen.changed") == ["parked", "applied"]
    assert whole.rows("SELECT reason FROM audit WHERE outcome = 'parked'") == [("TIME_IN_FUTURE",)]
    assert names(whole) == ["Tên Hai"]
    assert whole.release() == 0
    assert [one.of.field for one in questions(whole)] == [str(wrong["source_version"])]
    with whole.engine.connect() as connection:
        (queue,) = read_queues(connection, ParkedFilter())
        assert all(row.balanced for row in read_ledger(connection))
    assert queue.waits_for == (f"officer:TIME_IN_FUTURE:{wrong['source_version']}",)


@pytest.mark.parametrize(
    "harmless",
    [
        person("Tên Một", 20_990_101_000_000, DAY),
        person("Tên Một", 9_000_000_000, DAY),
        person("Tên Một", 1_800_000_000_000_000_000, DAY),
        person("Tên Một", 1, DAY + timedelta(hours=20), recorded_at=DAY),
    ],
    ids=["a date as digits", "a counter", "a snowflake", "within the limit"],
)
def test_what_is_no_time_ahead_is_applied(whole: Whole, harmless: dict[str, Any]) -> None:
    whole.send("citizen.changed", harmless)
    assert whole.outcomes("citizen.changed") == ["applied"]


def test_officer_lets_it_in(whole: Whole) -> None:
    whole.send("citizen.changed", person("Tên Một", AHEAD_US, AHEAD), person("Tên Hai", 2))
    decided(whole, Verdict.TAKE)
    assert whole.release() == 1
    assert names(whole) == ["Tên Một"]
    assert questions(whole) == []
    whole.send("citizen.changed", person("Tên Ba", AHEAD_US + 1, AHEAD))
    assert names(whole) == ["Tên Một"]
    assert len(questions(whole)) == 1


def test_keep_would_leave_it_parked_for_ever_and_is_refused(whole: Whole) -> None:
    whole.send("citizen.changed", person("Tên Một", AHEAD_US, AHEAD), person("Tên Hai", 2))
    (asked,) = questions(whole)
    with pytest.raises(ConfigError, match=r"keep would leave the record parked for ever.*take.*hub parked discard"):
        plan_decision(whole.engine, Given(asked.number, Verdict.KEEP, "CB01", "seen"))


def test_keep_of_another_desk_leaves_the_question_open_until_it_is_taken(whole: Whole) -> None:
    whole.send("citizen.changed", person("Tên Một", AHEAD_US, AHEAD), person("Tên Hai", 2))
    decided(whole, Verdict.KEEP)
    assert whole.release() == 0
    (asked,) = questions(whole)
    assert asked.is_open
    assert asked.noted is not None
    assert asked.noted.verdict == "KEEP"
    decided(whole, Verdict.TAKE)
    assert whole.release() == 1
    assert names(whole) == ["Tên Một"]
    assert questions(whole) == []


def test_alert_is_open_while_one_waits(whole: Whole) -> None:
    def settled() -> list[str]:
        with whole.engine.begin() as connection:
            settle_alert(connection)
            return [one.name for one in read_alerts(connection)]

    assert settled() == []
    whole.send("citizen.changed", person("Tên Một", AHEAD_US, AHEAD))
    assert settled() == ["dated_ahead"]
    decided(whole, Verdict.TAKE)
    whole.release()
    assert settled() == []


def test_what_waits_for_a_reference_does_not_wait_behind_it(whole: Whole) -> None:
    filing = {
        "source_system": "dvcqg",
        "dossier_code": "H42.12.34-250801-0001",
        "procedure_code": "1.001193",
    }
    whole.send("dossier.submitted", {**filing, "source_version": 1, "occurred_at": AHEAD})
    whole.send("dossier.submitted", {**filing, "source_version": 2, "occurred_at": DAY})
    assert whole.outcomes("dossier.submitted") == ["parked", "parked"]
    whole.send("procedure.changed", {"source_system": "dvcqg", "procedure_code": "1.001193", "name": "Khai sinh"})
    assert whole.release() == 1
    rows = whole.rows("SELECT source_version FROM dossier_submission_claim")
    assert [row.source_version for row in rows] == [2]
    assert len(questions(whole)) == 1
