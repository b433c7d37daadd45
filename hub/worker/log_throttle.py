"""Keep the Kafka client from filling the log while the broker is unreachable: it logs many tries a second."""

import logging
import time
from collections.abc import Callable

EVERY_S = 30.0
_LOGGERS = (
    "aiokafka",
    "kafka.net.selector",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)


_MEANINGLESS = ("Group Coordinator Request failed", "Task <kafka.net")
"""Beginnings of errors that the client logs before it succeeds: for a group's first member, or for a new topic."""


class Repetitions(logging.Filter):
    """Logs each warning or error of a logger at most every ``every_s`` seconds, some never; information always."""

    def __init__(self, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log the record."""
        if record.levelno < logging.WARNING:
            return True
        if str(record.msg).startswith(_MEANINGLESS):
            return logging.getLogger("hub").isEnabledFor(logging.DEBUG)
        kind, now = (record.name, str(record.msg)), self._clock()
        if now - self._last.get(kind, -self._every_s) < self._every_s:
            return False
        self._last[kind] = now
        return True


def throttle_repetitions() -> None:
    """Add the filter to the client's loggers."""
    filtering = Repetitions()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(filtering)
