"""What the intake says it waits for."""

from hub.intake.status import Errand, IntakeStatus


def test_status_waits_for_nothing_at_first() -> None:
    assert IntakeStatus().longest_wait() is None


def test_status_keeps_the_beginning_of_a_wait_and_the_last_reason() -> None:
    status = IntakeStatus()
    assert status.waits(Errand.COMMIT, "PostgreSQL does not answer")
    began = status.waiting[Errand.COMMIT].since
    assert not status.waits(Errand.COMMIT, "PostgreSQL went away")
    assert status.waiting[Errand.COMMIT].since == began
    assert status.waiting[Errand.COMMIT].why == "PostgreSQL went away"


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
