"""Nobody becomes two people alone: who may approve, who lets them, and what wrong tries of a credential do."""

import threading
from typing import Any

import pytest

from hub.log.places import Place
from hub.model.errors import ConfigError
from hub.operate import approval
from hub.operate.actions import By
from hub.operate.approval import MOST_TRIES, NotApprovedError, Second, check_second, is_same_person
from hub.operate.dead_letters.edit import Change, approve_edit, edit_letter, plan_edit
from hub.operate.dead_letters.letters import LetterFilter
from hub.operate.dead_letters.redrive import intend, plan_redrive
from hub.operate.desk.operators import Operator, add_operator, disable_operator, list_operators, unlock_operator
from hub.warehouse.alerts import read_alerts
from tests.support.whole_world import SECRET, Whole

pytestmark = pytest.mark.engine

TOPIC = "hub.citizen.changed.v1"
WORD, OTHER, MINE = "a long enough credential", "another long credential", "a credential of my own"
LETTER = Place(TOPIC, 0, 0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scrypt be quick here."""
    monkeypatch.setattr(approval, "COST", 2**4)


@pytest.fixture
def desk(whole: Whole) -> Whole:
    """A warehouse with the operators H42-001 and H42-009."""
    add_operator(whole.engine, "H42-001", OTHER, "root", "the first")
    add_operator(whole.engine, "H42-001", WORD, "H42-001", "my own", Second("H42-001", OTHER))
    add_operator(whole.engine, "H42-009", WORD, "root", "on duty", Second("H42-001", WORD))
    return whole


def listed(whole: Whole) -> dict[str, Operator]:
    with whole.engine.connect() as connection:
        return {one.name: one for one in list_operators(connection)}


def alerts(whole: Whole) -> list[tuple[str, str]]:
    with whole.engine.connect() as connection:
        return [(one.name, one.place) for one in read_alerts(connection)]


def refused_with(whole: Whole) -> str:
    return str(whole.value("SELECT purpose FROM action WHERE action = 'operators.refused' ORDER BY id DESC LIMIT 1"))


def try_wrongly(whole: Whole, name: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(NotApprovedError, match="no operator of that name and credential"):
            check_second(whole.engine, Second(name, "wrong"), "H42-017")


def edited(whole: Whole, by: str) -> None:
    """Keep an edit of a letter whose epoch was wrong."""
    person = {"source_system": "dancu", "pin": "000299000001", "full_name": "Không Ai", "birth_year": 1990}
    whole.commit(whole.polled("citizen.changed", [{**person, "source_epoch": -1}]))
    edit_letter(whole.engine, plan_edit(whole.engine, SECRET, LETTER, Change(sets={"source_epoch": "12"})), By(by, "x"))


def test_first_operator_needs_nobody_and_every_other_one_needs_an_operator(whole: Whole) -> None:
    add_operator(whole.engine, "H42-001", WORD, "root", "the first")
    with pytest.raises(NotApprovedError, match="an operator must approve it: name one with --approved-by"):
        add_operator(whole.engine, "H42-009", WORD, "root", "on duty")
    with pytest.raises(NotApprovedError, match="no operator of that name and credential"):
        add_operator(whole.engine, "H42-009", WORD, "root", "on duty", Second("H42-001", "wrong"))
    assert list(listed(whole)) == ["H42-001"]
    with pytest.raises(NotApprovedError, match="root gave H42-001 this credential and may know it"):
        add_operator(whole.engine, "H42-009", WORD, "root", "on duty", Second("H42-001", WORD))
    add_operator(whole.engine, "H42-001", MINE, "H42-001", "my own", Second("H42-001", WORD))
    add_operator(whole.engine, "H42-009", WORD, "root", "on duty", Second("H42-001", MINE))
    found = listed(whole)
    assert [(one.added_by, one.approved_by) for one in found.values()] == [("H42-001", "H42-001"), ("root", "H42-001")]
    rows = whole.rows("SELECT detail->>'operator', detail->>'approved_by' FROM action WHERE action = 'operators.add'")
    assert rows == [("H42-001", None), ("H42-001", "H42-001"), ("H42-009", "H42-001")]


def test_one_person_cannot_edit_as_one_reset_another_and_approve_as_them(desk: Whole) -> None:
    edited(desk, "H42-001")
    with pytest.raises(NotApprovedError, match="an operator must approve it"):
        add_operator(desk.engine, "H42-009", OTHER, "H42-001", "forgotten")
    with pytest.raises(NotApprovedError, match="H42-001 prepared it"):
        add_operator(desk.engine, "H42-009", OTHER, "H42-001", "forgotten", Second("H42-001", WORD))
    with pytest.raises(NotApprovedError):
        approve_edit(desk.engine, LETTER, Second("H42-009", OTHER), "seen")
    approve_edit(desk.engine, LETTER, Second("H42-009", WORD), "seen")


def test_who_gave_a_credential_is_not_approved_by_it_until_its_owner_has_changed_it(desk: Whole) -> None:
    add_operator(desk.engine, "H42-030", WORD, "H42-017", "on duty", Second("H42-009", WORD))
    edited(desk, "H42-017")
    with pytest.raises(NotApprovedError, match="H42-017 gave H42-030 this credential and may know it"):
        approve_edit(desk.engine, LETTER, Second("H42-030", WORD), "seen")
    add_operator(desk.engine, "H42-030", MINE, "H42-030", "my own", Second("H42-030", WORD))
    approve_edit(desk.engine, LETTER, Second("H42-030", MINE), "seen")


def test_forgotten_credential_is_reset_with_another_operator_and_a_known_one_is_changed_alone(desk: Whole) -> None:
    with pytest.raises(NotApprovedError, match="the credential is wrong; another operator must approve it"):
        add_operator(desk.engine, "H42-009", MINE, "H42-009", "forgotten", Second("H42-009", "I do not know"))
    add_operator(desk.engine, "H42-009", MINE, "H42-009", "forgotten", Second("H42-001", WORD))
    with pytest.raises(NotApprovedError):
        check_second(desk.engine, Second("H42-009", WORD), "H42-017")
    check_second(desk.engine, Second("H42-009", MINE), "H42-017")
    add_operator(desk.engine, "H42-009", OTHER, "H42-009", "a new one", Second("H42-009", MINE))
    check_second(desk.engine, Second("H42-009", OTHER), "H42-017")


def test_disabled_operator_comes_back_only_with_another_and_the_last_one_stays(desk: Whole) -> None:
    disable_operator(desk.engine, "H42-009", "root", "left")
    for second in (None, Second("H42-009", WORD)):
        with pytest.raises(NotApprovedError):
            add_operator(desk.engine, "H42-009", OTHER, "root", "back", second)
    assert listed(desk)["H42-009"].disabled_by == "root"
    with pytest.raises(ConfigError, match="may approve; see"):
        disable_operator(desk.engine, "H42-009", "root", "left")
    with pytest.raises(ConfigError, match="H42-001 is the last who may approve"):
        disable_operator(desk.engine, "H42-001", "root", "left")
    add_operator(desk.engine, "H42-009", OTHER, "root", "back", Second("H42-001", WORD))
    assert listed(desk)["H42-009"].may_approve
    check_second(desk.engine, Second("H42-009", OTHER), "H42-017")


def test_wrong_tries_count_lock_and_raise_an_alert_until_another_operator_unlocks(desk: Whole) -> None:
    try_wrongly(desk, "H42-009", MOST_TRIES - 1)
    assert listed(desk)["H42-009"].failed_tries == MOST_TRIES - 1
    check_second(desk.engine, Second("H42-009", WORD), "H42-017")
    assert listed(desk)["H42-009"].failed_tries == 0
    try_wrongly(desk, "H42-009", MOST_TRIES)
    found = listed(desk)["H42-009"]
    assert (found.failed_tries, found.may_approve) == (MOST_TRIES, False)
    assert found.last_failed_at is not None
    assert alerts(desk) == [("operator_locked", "H42-009")]
    with pytest.raises(NotApprovedError, match="no operator of that name and credential"):
        check_second(desk.engine, Second("H42-009", WORD), "H42-017")
    with pytest.raises(NotApprovedError):
        add_operator(desk.engine, "H42-009", OTHER, "H42-009", "myself", Second("H42-009", WORD))
    for second in (Second("H42-009", WORD), Second("H42-001", "wrong")):
        with pytest.raises(NotApprovedError):
            unlock_operator(desk.engine, "H42-009", "root", "asked", second)
    unlock_operator(desk.engine, "H42-009", "root", "asked", Second("H42-001", WORD))
    assert listed(desk)["H42-009"].failed_tries == 0
    assert alerts(desk) == []
    check_second(desk.engine, Second("H42-009", WORD), "H42-017")
    with pytest.raises(ConfigError, match="no operator of that name is locked"):
        unlock_operator(desk.engine, "H42-009", "root", "asked", Second("H42-001", WORD))


def test_tries_at_the_same_time_are_no_more_tries(desk: Whole) -> None:
    barrier, results = threading.Barrier(12), []

    def try_it(number: int) -> None:
        barrier.wait()
        try:
            check_second(desk.engine, Second("H42-009", WORD if number == 11 else "wrong"), "H42-017")
        except NotApprovedError:
            results.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(11)]
    threads.append(threading.Thread(target=lambda: barrier.wait()))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 11
    assert listed(desk)["H42-009"].failed_tries == MOST_TRIES


def test_a_name_that_reads_the_same_is_no_other_person(desk: Whole) -> None:
    for name in ("h42-001", "H42-001\u200b", "Ｈ42-001"):
        assert is_same_person(name, "H42-001")
    with pytest.raises(ConfigError, match="looks like H42-001"):
        add_operator(desk.engine, "h42-001", WORD, "root", "on duty", Second("H42-001", WORD))
    for name in ("", " H42-002", "H42-\u202e002", "\x1b[2J"):
        with pytest.raises(ConfigError, match="a name must be given"):
            add_operator(desk.engine, name, WORD, "root", "on duty", Second("H42-001", WORD))
    with pytest.raises(ConfigError, match="12 characters"):
        add_operator(desk.engine, "H42-002", "short", "root", "on duty", Second("H42-001", WORD))


def test_refusals_are_noted_and_no_credential_is_kept(desk: Whole) -> None:
    try_wrongly(desk, "H42-009", 1)
    assert refused_with(desk) == "H42-009: no operator of that name and credential may approve"
    with pytest.raises(NotApprovedError) as refused:
        check_second(desk.engine, Second("H42-009", "wrong"), "H42-017")
    assert "`hub operators list` shows who may" in refused.value.message
    assert "`hub operators add NAME --reason TEXT --execute`" in refused.value.message
    with pytest.raises(NotApprovedError) as refused:
        check_second(desk.engine, Second("h42-017", WORD), "H42-017")
    assert refused.value.message.startswith("h42-017 prepared it: another person must approve it: ")
    assert "--approved-by THEIR-NAME" in refused.value.message
    stored = " ".join(str(row) for table in ("operator", "action") for row in desk.rows(f"SELECT * FROM {table}"))
    assert WORD not in stored
    assert "wrong'" not in stored


def test_redrive_names_the_approval_it_relied_on(desk: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(desk, "H42-017")
    approve_edit(desk.engine, LETTER, Second("H42-009", WORD), "seen")
    monkeypatch.setattr("hub.operate.dead_letters.redrive.ends_of", lambda bootstrap, places: dict.fromkeys(places, 7))
    plan = plan_redrive(desk.engine, LetterFilter(places=(LETTER,)))
    where: Any = type("Endpoints", (), {"bootstrap": "nowhere:1"})
    intend(desk.engine, where, plan.letters, By("H42-017", "mended"))
    (approval,) = desk.rows("SELECT id, actor FROM action WHERE action = 'deadletters.approve'")
    (edit,) = desk.rows("SELECT id, approval FROM letter_edit")
    assert edit[1] == approval[0]
    detail = desk.value("SELECT detail FROM action WHERE action = 'deadletters.redrive'")
    assert detail["relied_on"] == [
        {"letter": f"{TOPIC}/0/0", "edit": edit[0], "approval": approval[0], "approved_by": "H42-009"}
    ]
    assert desk.rows("SELECT edit, approval FROM redrive") == [(edit[0], approval[0])]
