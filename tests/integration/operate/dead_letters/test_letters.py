"""Dead letters as an operator handles them: found, shown, edited by one and approved by another, discarded."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hub.cli.dead_letters import view
from hub.cli.evidence.view import show_found
from hub.codec.catalogue import load_catalogue
from hub.log.places import Place, place_of
from hub.model.errors import ConfigError
from hub.model.refusals import GroupBy
from hub.operate.actions import Action, By, note
from hub.operate.approval import NotApprovedError, Second
from hub.operate.dead_letters.edit import (
    Change,
    approve_edit,
    discard_letters,
    edit_letter,
    plan_discard,
    plan_edit,
)
from hub.operate.dead_letters.groups import group_letters
from hub.operate.dead_letters.letters import Letter, LetterFilter, State, letter_counts, read_letters
from hub.operate.dead_letters.redrive import plan_redrive
from hub.operate.dead_letters.show import show_letter
from hub.operate.dead_letters.watch import LetterLimits, LetterWatch
from hub.operate.desk.operators import add_operator
from hub.operate.evidence.search import EvidenceFilter, search
from hub.operate.records.request import Unmasking
from hub.warehouse.alerts import open_alerts
from tests.support.whole_world import SECRET, Whole

pytestmark = pytest.mark.engine

CITIZEN = "citizen.changed"
TOPIC = "hub.citizen.changed.v1"
NAME = "Nguyễn Văn Không Ai"
BY = By("H42-017", "case 7")
WORD = "a long enough credential"


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"source_system": "dancu", "pin": f"000299{number:06d}", "full_name": NAME, "birth_year": 1990, **fields}


@pytest.fixture
def letters(whole: Whole) -> Whole:
    """Letters at 1 (an epoch below zero), 2 and 3 (the same cut bytes), 4 (another's key), 5 (no value)."""
    events = [person(1), person(2, source_epoch=-1), person(3), person(3), person(4), person(5)]
    polled = whole.polled(CITIZEN, events)
    values, keys = list(polled.values), list(polled.keys)
    values[2] = values[3] = (values[2] or b"")[:-3]
    keys[4], values[5] = b"000299000004", None
    whole.commit(replace(polled, values=values, keys=keys))
    return whole


def read(whole: Whole, **wanted: Any) -> list[Letter]:
    with whole.engine.connect() as connection:
        return read_letters(connection, LetterFilter(**wanted), with_bytes=True)


def at(offset: int) -> Place:
    return Place(TOPIC, 0, offset)


def text_of(renderable: Any) -> str:
    console = Console(width=100, record=True, highlight=False)
    console.print(renderable)
    return console.export_text()


def test_letters_are_found_by_reason_source_topic_time_and_state(letters: Whole) -> None:
    found = read(letters)
    assert [(one.place.offset, one.reason) for one in found] == [
        (1, "INVALID_VALUE"),
        (2, "NOT_DECODABLE"),
        (3, "NOT_DECODABLE"),
        (4, "KEY_MISMATCH"),
        (5, "TOMBSTONE"),
    ]
    assert [one.place.offset for one in read(letters, source="dancu")] == [1, 4]
    assert [one.place.offset for one in read(letters, cause="KEY_MISMATCH", topic=CITIZEN)] == [4]
    assert read(letters, topic="identity.changed") == read(letters, since=found[0].recorded_at.replace(year=2099)) == []
    assert len(read(letters, until=found[0].recorded_at)) == 0
    assert len(read(letters, limit=2)) == 2
    assert [one.place for one in read(letters, places=(at(3),))] == [at(3)]
    assert read(letters, states=(State.REDRIVEN,)) == []
    with letters.engine.connect() as connection:
        assert ("NOT_DECODABLE", State.OPEN, 2) in letter_counts(connection, LetterFilter())


def test_letters_are_grouped_by_what_is_asked_for_the_most_first(letters: Whole) -> None:
    with letters.engine.connect() as connection:
        groups = group_letters(connection, LetterFilter(limit=1), GroupBy.REASON)
        assert [(one.name, one.count) for one in groups] == [
            ("NOT_DECODABLE", 2),
            ("INVALID_VALUE", 1),
            ("KEY_MISMATCH", 1),
            ("TOMBSTONE", 1),
        ]
        first = groups[0]
        assert (first.states, first.subjects, first.example) == ({State.OPEN: 2}, (CITIZEN,), at(2))
        assert groups[1].sources == ("dancu",)
        by_source = group_letters(connection, LetterFilter(), GroupBy.SOURCE)
        assert [(one.name, one.count, one.reasons) for one in by_source] == [
            (None, 3, ("NOT_DECODABLE", "TOMBSTONE")),
            ("dancu", 2, ("INVALID_VALUE", "KEY_MISMATCH")),
        ]
        (by_topic,) = group_letters(connection, LetterFilter(cause="NOT_DECODABLE"), GroupBy.TOPIC)
        assert (by_topic.name, by_topic.count) == (CITIZEN, 2)
    shown = text_of(view.grouped(groups, GroupBy.REASON)).splitlines()
    assert shown[0].split()[:2] == ["count", "reason"]
    assert shown[1].split()[:4] == ["2", "NOT_DECODABLE", "2", "open"]
    assert "citizen.changed/0/2" in shown[1]


def test_letter_has_its_whole_context_and_equal_ones_are_counted(letters: Whole) -> None:
    wrong, cut, *_ = read(letters)
    assert (wrong.source, wrong.worker, wrong.state, wrong.same, wrong.origin) == ("dancu", "test", State.OPEN, 1, None)
    assert (wrong.stack[-1]["stage"], wrong.stack[-1]["field"]) == ("rules", "source_epoch")
    assert [step["stage"] for step in cut.stack] == ["frame", "schema", "decode"]
    assert cut.same == 2
    assert cut.sha256 == hashlib.sha256(cut.value or b"").hexdigest()
    assert cut.schema_id == wrong.schema_id
    listed = text_of(view.listed(read(letters)))
    assert "citizen.changed/0/4" in listed
    assert max(map(len, listed.splitlines())) <= 100
    with letters.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE dead_letter SET refused_by = NULL")
    assert read(letters)[0].stack == wrong.stack


def test_bytes_are_shown_to_who_says_why_and_it_is_noted(letters: Whole) -> None:
    masked = show_letter(letters.engine, at(1), None)
    shown, told = text_of(view.shown(masked)), json.dumps(view.shown_as_json(masked), ensure_ascii=False)
    assert "source_epoch less than 0" in shown
    assert "refused" in shown
    for secret in (NAME, "000299000002", "Không"):
        assert secret not in shown
        assert secret not in told
        assert secret not in repr(masked)
    assert "000299000004" not in text_of(view.shown(show_letter(letters.engine, at(4), None)))
    assert letters.value("SELECT count(*) FROM action") == 0
    plain = show_letter(letters.engine, at(1), Unmasking("H42-017", "complaint 12"))
    assert NAME in text_of(view.shown(plain))
    assert view.shown_as_json(plain)["value"] == (plain.letter.value or b"").hex()
    number = load_catalogue().latest("citizen.changed").schema_id.to_bytes(4, "big").hex(" ")
    assert f"000000  00 {number}" in text_of(view.shown(plain))
    assert letters.rows("SELECT actor, action, purpose, detail->>'letter' FROM action") == [
        ("H42-017", "unmask", "complaint 12", f"{TOPIC}/0/1")
    ]


def test_edit_waits_for_another_person_with_a_credential_of_their_own(letters: Whole) -> None:
    engine = letters.engine
    plan = plan_edit(engine, SECRET, at(1), Change(sets={"source_epoch": "12"}))
    newest = f"citizen.changed version {len(load_catalogue().versions(CITIZEN))}"
    assert (plan.fields, plan.is_key_changed, plan.reads_as) == (("source_epoch",), False, newest)
    assert NAME not in repr(plan)
    assert read(letters)[0].state is State.OPEN
    edit_letter(engine, plan, BY)
    assert read(letters)[0].state is State.EDITED
    assert (
        plan_redrive(engine, LetterFilter(places=(at(1),)))
        .left_out[0][1]
        .startswith("its edit waits for a second person")
    )

    add_operator(engine, "H42-017", WORD, "root", "on duty")
    add_operator(engine, "H42-009", WORD, "chief", "on duty", Second("H42-017", WORD))
    for name, word in (("H42-017", WORD), ("h42-017 ", WORD), ("H42-009", WORD + "x"), ("H42-099", WORD)):
        with pytest.raises(NotApprovedError):
            approve_edit(engine, at(1), Second(name, word), "seen")
    assert letters.value("SELECT count(*) FROM action WHERE action = 'operators.refused'") == 4
    assert read(letters)[0].state is State.EDITED
    approve_edit(engine, at(1), Second("H42-009", WORD), "seen")
    (one,) = read(letters, places=(at(1),))
    assert (one.state, one.changed_by) == (State.APPROVED, "H42-009")
    shown = show_letter(engine, at(1), None)
    (edit,) = shown.edits
    assert (edit.before_sha256, edit.after_sha256) == (plan.before_sha256, plan.after_sha256)
    assert (edit.edited_by, edit.approved_by, edit.fields) == ("H42-017", "H42-009", ("source_epoch",))
    assert "H42-009" in text_of(view.shown(shown))
    assert len(plan_redrive(engine, LetterFilter(places=(at(1),))).letters) == 1

    edit_letter(engine, plan_edit(engine, SECRET, at(1), Change(sets={"source_epoch": "3"})), By("H42-009", "better"))
    assert read(letters)[0].state is State.EDITED
    with pytest.raises(NotApprovedError):
        approve_edit(engine, at(1), Second("H42-009", WORD), "seen")
    stored = json.dumps([[str(value) for value in row] for row in letters.rows("SELECT * FROM operator")])
    assert WORD not in stored + repr(Second("H42-009", WORD))


def test_approval_is_found_by_the_letter_it_approves_and_so_is_what_relied_on_it(
    letters: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = letters.engine
    add_operator(engine, "H42-009", WORD, "chief", "on duty")
    edit_letter(engine, plan_edit(engine, SECRET, at(1), Change(sets={"source_epoch": "12"})), BY)
    approve_edit(engine, at(1), Second("H42-009", WORD), "seen")
    with engine.begin() as connection:
        relied_on = [{"letter": f"{TOPIC}/0/1", "edit": 1}]
        note(connection, Action("H42-017", "deadletters.redrive", "again", detail={"relied_on": relied_on}))
        note(connection, Action("H42-017", "replay.switch", "again", detail={"replay": 12}))
    for about in ("citizen.changed/0/1", f"{TOPIC}/0/1", "citizen.changed/0@1"):
        with engine.begin() as connection:
            found = search(connection, EvidenceFilter(about=about), "auditor", "who approved?")
        did = [row["action"] for row in found.actions if row["action"] != "audit.search"]
        assert did == ["deadletters.redrive", "deadletters.approve", "deadletters.edit"]
        assert [(row["log_offset"], row["outcome"]) for row in found.events] == [(1, "dead_lettered")]
    approval = next(row for row in found.actions if row["action"] == "deadletters.approve")
    assert (approval["actor"], approval["detail"]["edited_by"]) == ("H42-009", "H42-017")
    show_found(found)
    assert f"letter: {TOPIC}/0/1" in capsys.readouterr().out
    for about, did in (("H42-009", ["operators.add"]), ("12", ["replay.switch"]), ("citizen.changed/0/3", [])):
        with engine.begin() as connection:
            found = search(connection, EvidenceFilter(about=about), "auditor", "who approved?")
        assert [row["action"] for row in found.actions if row["action"] != "audit.search"] == did


def test_edits_that_cannot_be_are_refused_without_a_value_in_the_message(letters: Whole) -> None:
    for offset, change, problem in (
        (1, Change(), "give either --value-file or --set"),
        (1, Change(sets={"month": "1"}), "month: citizen.changed has no such field"),
        (1, Change(sets={"source_epoch": "XII"}), "--set source_epoch: is not of type int"),
        (1, Change(sets={"source_epoch": "-1"}), "that changes nothing"),
        (1, Change(value=bytes(2_000_000)), "2000000 bytes, more than"),
        (2, Change(sets={"source_epoch": "1"}), "give the whole bytes with --value-file"),
        (0, Change(sets={"source_epoch": "1"}), "no dead letter"),
    ):
        with pytest.raises(ConfigError, match=problem) as refused:
            plan_edit(letters.engine, SECRET, at(offset), change)
        assert "XII" not in str(refused.value)
    rekeyed = plan_edit(letters.engine, SECRET, at(4), Change(rekey=True))
    assert (rekeyed.is_key_changed, rekeyed.fields) == (True, ())
    moved = plan_edit(letters.engine, SECRET, at(4), Change(sets={"pin": "000299000044"}))
    assert moved.is_key_changed
    cut = plan_edit(letters.engine, SECRET, at(2), Change(value=b"\0no schema"))
    assert cut.reads_as == "cannot be read: UNKNOWN_SCHEMA_ID"


def test_discarded_letter_stays_with_who_and_why_and_can_not_be_redriven(letters: Whole) -> None:
    wanted = LetterFilter(cause="NOT_DECODABLE")
    assert discard_letters(letters.engine, plan_discard(letters.engine, wanted), BY) == 2
    assert plan_discard(letters.engine, wanted) == []
    assert [one.place.offset for one in read(letters)] == [1, 4, 5]
    (one,) = read(letters, places=(at(2),), states=())
    assert (one.state, one.changed_by, one.purpose) == (State.DISCARDED, "H42-017", "case 7")
    plan = plan_redrive(letters.engine, LetterFilter(places=(at(2), at(5)), states=()))
    assert [why for _, why in plan.left_out] == [
        "it is discarded already",
        "its bytes are not stored: edit it, or discard it",
    ]
    with pytest.raises(ConfigError, match="discarded by H42-017 already"):
        plan_edit(letters.engine, SECRET, at(2), Change(value=b"x"))
    assert letters.value("SELECT detail->>'count' FROM action WHERE action = 'deadletters.discard'") == "2"


def test_place_may_be_said_by_topic_or_subject() -> None:
    assert place_of("citizen.changed/0/7") == place_of("hub.citizen.changed.v1/0/7") == at(7)
    assert place_of("citizen.changed/0@7") == place_of("hub.citizen.changed.v1/0@7") == at(7)
    for wrong in (
        "citizen.changed/0",
        "7",
        "/0/7",
        "citizen.changed@7",
        "citizen.changed/0@",
        "citizen.changed/0/-7",
        "citizen.changed/x/7",
    ):
        with pytest.raises(ConfigError, match="not a record's place"):
            place_of(wrong)


def test_letters_that_nobody_handles_open_an_alert_that_closes_when_they_are_handled(letters: Whole) -> None:
    working = letters.engine
    patient, hasty = LetterWatch(working, LetterLimits(100, 3_600)), LetterWatch(working, LetterLimits(5, 3_600))
    patient.look()
    assert open_alerts(working) == [], "few letters, and none is old"
    hasty.look()
    (alert,) = open_alerts(working)
    assert (alert.name, alert.place) == ("letters_wait", TOPIC)
    assert alert.detail.startswith("dead letters that nobody has handled: 5, the oldest since ")
    assert "NOT_DECODABLE 2" in alert.detail
    edit_letter(working, plan_edit(working, SECRET, at(1), Change(sets={"source_epoch": "12"})), BY)
    hasty.look()
    assert len(open_alerts(working)) == 1, "an edit that waits for its approval is not the end of it"
    discard_letters(working, plan_discard(working, LetterFilter(places=(at(2),))), BY)
    hasty.look()
    assert open_alerts(working) == []
    with working.begin() as connection:
        old = "UPDATE dead_letter SET recorded_at = now() - interval '2 hours' WHERE log_offset = 3"
        connection.exec_driver_sql(old)
    patient.look()
    assert [one.name for one in open_alerts(working)] == ["letters_wait"], "one letter is old"
    discard_letters(working, plan_discard(working, LetterFilter(places=(at(3),))), BY)
    patient.look()
    assert open_alerts(working) == []
