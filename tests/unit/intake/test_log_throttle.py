"""The log while the broker is away: each trouble once in a while."""

import logging

from hub.worker.log_throttle import Repetitions


def _record(message: str, level: int = logging.ERROR, name: str = "aiokafka") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, ("node 1",), None)


def test_same_trouble_is_logged_once_in_a_while() -> None:
    now = 100.0
    filtering = Repetitions(every_s=30.0, clock=lambda: now)
    first = [filtering.filter(_record("cannot connect to %s")) for _ in range(3)]
    now = 131.0
    assert first == [True, False, False]
    assert filtering.filter(_record("cannot connect to %s"))


def test_other_troubles_and_other_loggers_are_logged_beside_it() -> None:
    filtering = Repetitions(clock=lambda: 0.0)
    assert filtering.filter(_record("cannot connect to %s"))
    assert filtering.filter(_record("cannot fetch from %s"))
    assert filtering.filter(_record("cannot connect to %s", name="aiokafka.conn"))


def test_information_is_never_left_out() -> None:
    filtering = Repetitions(clock=lambda: 0.0)
    assert all(filtering.filter(_record("joined %s", logging.INFO)) for _ in range(3))
