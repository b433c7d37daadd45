"""What the intake says it waits for."""

from hub.intake.status import MOST_UNKNOWN_SCHEMAS, Errand, IntakeStatus


def test_status_waits_for_nothing_at_first() -> None:
    assert IntakeStatus().longest_wait() is None


def test_status_keeps_the_beginning_of_a_wait_and_the_last_reason() -> None:
    status = IntakeStatus()
    assert status.waits(Errand.COMMIT, "PostgreSQL does not answer")
    began = status.waiting[Errand.COMMIT, 0].since
    assert not status.waits(Errand.COMMIT, "PostgreSQL went away")
    assert status.waiting[Errand.COMMIT, 0].since == began
    assert status.waiting[Errand.COMMIT, 0].why == "PostgreSQL went away"


def test_status_waits_on_while_another_errand_goes_on() -> None:
    status = IntakeStatus()
    status.waits(Errand.COMMIT, "PostgreSQL does not answer")
    status.waits(Errand.WATCH, "Kafka does not answer")
    assert status.goes_on(Errand.WATCH)
    waiting = status.longest_wait()
    assert waiting is not None
    assert waiting.why == "PostgreSQL does not answer"
    assert status.goes_on(Errand.COMMIT)
    assert not status.goes_on(Errand.COMMIT)
    assert status.longest_wait() is None


def test_unknown_schema_is_awaited_once_and_for_a_while() -> None:
    status = IntakeStatus()
    assert not status.is_schema_awaited([], now=0.0, wait_s=5.0)
    assert status.is_schema_awaited([9], now=10.0, wait_s=5.0)
    assert status.is_schema_awaited([9], now=14.9, wait_s=5.0)
    assert not status.is_schema_awaited([9], now=15.0, wait_s=5.0)
    assert status.is_schema_awaited([9, 8], now=16.0, wait_s=5.0)


def test_unknown_schemas_are_not_awaited_when_a_producer_invents_them() -> None:
    status = IntakeStatus()
    for schema_id in range(MOST_UNKNOWN_SCHEMAS):
        assert status.is_schema_awaited([schema_id], now=0.0, wait_s=5.0)
    assert not status.is_schema_awaited([MOST_UNKNOWN_SCHEMAS], now=0.0, wait_s=5.0)
    assert len(status.unknown_schemas) == MOST_UNKNOWN_SCHEMAS
