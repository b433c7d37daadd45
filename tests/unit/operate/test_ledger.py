"""The ledger's arithmetic, and how it is shown."""

from hub.cli.ledger.view import ledger_table, not_on_kafka
from hub.model.outcomes import Outcome
from hub.operate.ledger.balance import LedgerRow, totals_by_topic
from hub.operate.log.ends import LogEnd
from hub.topology import closed_name, event_topic


def row(topic: str, partition: int, consumed: int, **counts: int) -> LedgerRow:
    outcomes = {outcome: counts.get(outcome.value, 0) for outcome in Outcome}
    return LedgerRow(topic, partition, 0, consumed, consumed, outcomes)


def test_i5_row_is_balanced_when_outcomes_add_up_to_what_was_consumed() -> None:
    assert row("a", 0, 0).balanced
    assert row("a", 0, 5, applied=2, stale=1, dead_lettered=2).balanced
    assert not row("a", 0, 5, applied=4).balanced
    assert not row("a", 0, 5, applied=6).balanced


def test_json_of_a_row_has_the_seven_outcomes() -> None:
    shown = row("a", 3, 2, applied=1, parked=1).as_json()
    assert {"topic", "partition", "consumed", *(outcome.value for outcome in Outcome)} <= set(shown)
    assert (shown["topic"], shown["partition"], shown["consumed"], shown["parked"]) == ("a", 3, 2, 1)
    assert shown["balanced"] is True


def test_totals_add_partitions_up_by_topic() -> None:
    totals = totals_by_topic([row("a", 0, 3, applied=3), row("b", 0, 1, stale=1), row("a", 1, 4, applied=1, stale=3)])
    assert [(total.topic, total.consumed, total.balanced) for total in totals] == [("a", 7, True), ("b", 1, True)]
    assert totals[0].outcomes[Outcome.APPLIED] == 4
    assert totals[0].outcomes[Outcome.STALE] == 3
    assert totals_by_topic([]) == []


def test_table_has_a_line_for_each_row_and_marks_one_that_is_off() -> None:
    table = ledger_table([row("a", 0, 2, applied=2), row("b", 1, 2, applied=1)])
    assert table.row_count == 2
    marks = list(table.columns[-1].cells)
    assert "ok" in str(marks[0])
    assert "OFF" in str(marks[1])
    assert list(table.columns[0].cells) == ["a/0", "b/1"]


def test_i5_total_is_off_when_partitions_are_off_by_opposite_amounts() -> None:
    rows = [row("a", 0, 3, applied=2), row("a", 1, 3, applied=4)]
    assert not totals_by_topic(rows)[0].balanced


def test_event_topic_that_was_deleted_is_named_and_not_taken_for_one_that_is_read() -> None:
    gone, there = event_topic("inspection.changed"), event_topic("citizen.changed")
    rows = [row(gone, 0, 3), row(gone, 1, 0), row(there, 0, 2), row(closed_name(gone, "x"), 0, 3)]
    (said,) = not_on_kafka(rows, {(there, 0): LogEnd(0, 2)})
    assert said.startswith(f"{gone}: not on Kafka (2 partitions)")
    assert "hub topics ensure --execute" in said


def test_no_topic_is_called_deleted_while_kafka_is_away() -> None:
    assert not_on_kafka([row(event_topic("citizen.changed"), 0, 2)], {}) == []
