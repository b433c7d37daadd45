"""Parked records as an operator handles them: found with what stands behind, let in, or discarded by two people."""

from typing import Any

import pytest
from rich.console import Console

from hub.cli.dead_letters import parked_view as view
from hub.embedded.locate import Endpoints
from hub.log.places import Place
from hub.model.errors import ConfigError
from hub.model.flags import Flag
from hub.operate.actions import By
from hub.operate.approval import NotApprovedError, Second
from hub.operate.dead_letters import parked_release
from hub.operate.dead_letters.parked import ParkedFilter, Queue, count_parked, read_awaited, read_queues, show_queue
from hub.operate.dead_letters.parked_release import discard_parked, plan_discard, release_queues
from hub.operate.desk.operators import add_operator
from hub.operate.ledger.balance import read_ledger
from hub.operate.records.request import Unmasking
from tests.support.whole_world import SECRET, Whole

pytestmark = pytest.mark.engine

FILED = "dossier.submitted"
TOPIC = "hub.dossier.submitted.v1"
CODE, OTHER = "H25.10-250601-00001", "H25.10-250601-00002"
PROCEDURE = "1.001193"
NAME = "Trần Thị Không Ai"
BY = By("H42-017", "decree 5/2026")
WORD = "a long enough credential"
NOWHERE = Endpoints("127.0.0.1:1", "", SECRET)


def filing(code: str = CODE, version: int = 1, **data: Any) -> dict[str, Any]:
    said = {"dossier_code": code, "procedure_code": PROCEDURE, "applicant_name": NAME, "source_system": "tinh"}
    return {**said, "source_version": version, **data}


@pytest.fixture
def waiting(whole: Whole) -> Whole:
    """Three versions of one dossier and one of another, at 0, 1, 3 and 2, waiting for their procedures."""
    whole.send(FILED, filing(), filing(version=2), filing(OTHER, procedure_code="2.000001"), filing(version=3))
    return whole


def queues(whole: Whole, **wanted: Any) -> list[Queue]:
    with whole.engine.connect() as connection:
        return read_queues(connection, ParkedFilter(**wanted))


def at(offset: int) -> Place:
    return Place(TOPIC, 0, offset)


def publish_into(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have decisions merged at once, where a worker would read them from the log."""
    monkeypatch.setattr(parked_release, "publish", lambda where, subject, events: whole.send(subject, *events))


def text_of(renderable: Any) -> str:
    console = Console(width=100, record=True, highlight=False)
    console.print(renderable)
    return console.export_text()


def test_queues_say_what_waits_for_what_since_when_and_how_many_behind(waiting: Whole) -> None:
    one, other = sorted(queues(waiting), key=lambda queue: -queue.records)
    assert (one.first, one.waits_for, one.sources) == (at(0), (f"procedure:{PROCEDURE}",), ("tinh",))
    assert (one.records, one.behind, one.is_let_in, one.aspect) == (3, 2, False, "dossier.submission")
    assert (other.first, other.behind) == (at(2), 0)
    assert queues(waiting, source="tinh", subject=FILED, limit=1, waits_for=f"procedure:{PROCEDURE}") == [one]
    assert queues(waiting, places=(at(3),)) == [one]
    assert queues(waiting, source="dvcqg") == queues(waiting, older_than_h=1) == queues(waiting, subject="x") == []
    with waiting.engine.connect() as connection:
        awaited = read_awaited(connection)
        assert count_parked(connection) == (4, 2)
    assert [(found.waits_for, found.records, found.keys) for found in awaited] == [
        (f"procedure:{PROCEDURE}", 3, 1),
        ("procedure:2.000001", 1, 1),
    ]
    for printed in (text_of(view.listed([one, other])), text_of(view.awaited(awaited))):
        assert PROCEDURE in printed
        assert max(map(len, printed.splitlines())) <= 100


def test_queue_is_shown_masked_and_who_unmasks_is_noted(waiting: Whole) -> None:
    queue, records = show_queue(waiting.engine, at(0), None)
    shown = text_of(view.shown(queue, records))
    assert [record.place.offset for record in records] == [0, 1, 3]
    assert NAME not in shown + str([view.record_as_json(record) for record in records]) + repr(records)
    assert CODE in shown
    plain = text_of(view.shown(*show_queue(waiting.engine, at(1), Unmasking("H42-017", "complaint"))))
    assert NAME in plain
    assert waiting.rows("SELECT actor, action, key FROM action") == [("H42-017", "unmask", queue.key)]
    with pytest.raises(ConfigError, match="no record is parked there"):
        show_queue(waiting.engine, at(7), None)


def test_released_queue_goes_in_order_with_a_flag_and_so_does_what_comes_later(
    waiting: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_into(waiting, monkeypatch)
    wanted = queues(waiting, waits_for=f"procedure:{PROCEDURE}")
    assert release_queues(waiting.engine, NOWHERE, wanted, BY) == 1
    assert queues(waiting, places=(at(0),))[0].is_let_in
    assert waiting.store.releasable(10, thorough=False)
    assert waiting.release() == 3
    released = waiting.rows("SELECT log_offset, outcome, flags FROM release ORDER BY 1")
    assert [(row.log_offset, row.outcome) for row in released] == [(0, "applied"), (1, "applied"), (3, "applied")]
    assert all(row.flags & Flag.UNKNOWN_PROCEDURE for row in released)
    assert [queue.first for queue in queues(waiting)] == [at(2)]
    assert waiting.rows("SELECT actor, purpose, detail->>'records' FROM action") == [(*_said(), "3")]

    waiting.send(FILED, filing(version=4))
    assert waiting.release() == 1
    assert waiting.value("SELECT max(source_version) FROM dossier_submission_claim") == 4


def _said() -> tuple[str, str]:
    return BY.actor, BY.purpose


def test_decision_lets_in_what_is_read_after_it(waiting: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    (queue,) = queues(waiting, places=(at(2),))
    publish_into(waiting, monkeypatch)
    release_queues(waiting.engine, NOWHERE, [queue], BY)
    with waiting.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE parked SET let_in = false")
    assert waiting.release() == 1


def test_i5_discarded_record_counts_once_as_rejected_and_takes_two_people(waiting: Whole) -> None:
    engine = waiting.engine
    add_operator(engine, "H42-009", WORD, "root", "on duty")
    add_operator(engine, BY.actor, WORD, "chief", "on duty", Second("H42-009", WORD))
    for second in (Second(BY.actor, WORD), Second("H42-009", "another credential"), Second("H42-001", WORD)):
        with pytest.raises(NotApprovedError):
            discard_parked(engine, [at(0)], BY, second)
    with pytest.raises(ConfigError, match="no record is parked there"):
        discard_parked(engine, [at(0), at(9)], BY, Second("H42-009", WORD))
    assert [one.place for one in plan_discard(engine, [at(0)])] == [at(0)]
    assert waiting.value("SELECT count(*) FROM release") == 0

    assert discard_parked(engine, [at(0), at(2)], BY, Second("H42-009", WORD)) == 2
    (row, _) = waiting.rows("SELECT r.*, b.worker FROM release r JOIN batch b ON b.id = r.batch ORDER BY log_offset")
    assert (row.outcome, row.reason, row.worker) == ("rejected", "DISCARDED", "hub parked discard")
    assert row.detail == "by H42-017, approved by H42-009"
    before = waiting.rows("SELECT key, event_id, content_hash, source_version FROM audit WHERE log_offset = 0")[0]
    assert (row.key, row.event_id, row.content_hash, row.source_version) == tuple(before)
    kept = waiting.rows("SELECT log_offset, discarded_by, approved_by, purpose FROM discarded ORDER BY 1")
    assert kept == [(offset, BY.actor, "H42-009", BY.purpose) for offset in (0, 2)]
    assert [queue.first for queue in queues(waiting)] == [at(1)]
    waiting.send(
        "procedure.changed",
        {"procedure_code": PROCEDURE, "name": "x", "source_system": "dvcqg"},
    )
    assert waiting.release() == 2
    with engine.connect() as connection:
        ledger = [row for row in read_ledger(connection) if row.consumed]
    assert all(row.balanced for row in ledger)
    filed = next(row for row in ledger if row.topic == TOPIC)
    counts = {outcome.value: count for outcome, count in filed.outcomes.items() if count}
    assert counts == {"applied": 2, "rejected": 2}
    with pytest.raises(ConfigError, match="no record is parked there"):
        discard_parked(engine, [at(0)], BY, Second("H42-009", WORD))
