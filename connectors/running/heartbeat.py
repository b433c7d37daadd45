"""A connector's heartbeat: a small record on Kafka every few seconds, which tells the hub the connector's state.

A connector cannot reach the warehouse; workers read its heartbeats. One that cannot be sent is dropped: the next one
has newer facts.
"""

import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.errors import KafkaError

from connectors.running.pulse import Pulse
from hub.machine import own_identity
from hub.model.processes import Beat, Role, beat_to_json, hub_version
from hub.topology import HEARTBEAT_TOPIC

_log = logging.getLogger(__name__)

BEAT_EVERY_S = 5.0
_ANSWER_S = 3.0
_AWAY = (KafkaError, OSError, AssertionError)
"""Errors that the client raises while no broker answers."""


@contextmanager
def beating(bootstrap: str, name: str, streams: int, pulse: Pulse) -> Iterator[None]:
    """Send heartbeats while the ``with`` block runs, and at its end one that says the connector ended.

    Args:
        bootstrap: Kafka brokers.
        name: of the connector: its source and its declaration.
        streams: how many it has.
        pulse: the state of the run.
    """
    # while a broker is away, the client's warnings add nothing to the run's own line per try
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    teller = _Teller(bootstrap, name, streams, pulse)
    teller.start()
    try:
        yield
    finally:
        teller.end()


def record_of(beat: Beat) -> tuple[bytes, bytes]:
    """Return a heartbeat as key and value; a lone surrogate in a file's name or a driver's message is escaped."""
    return beat.name.encode("utf-8", "backslashreplace"), json.dumps(beat_to_json(beat)).encode("ascii")


class _Teller(threading.Thread):
    """Sends until it is told to end; then sends a last heartbeat, if a broker takes it in time."""

    def __init__(self, bootstrap: str, name: str, streams: int, pulse: Pulse) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._brokers = bootstrap
        self._connector = name
        self._streams = streams
        self._pulse = pulse
        self._ending = threading.Event()
        self._producer: KafkaProducer | None = None

    def run(self) -> None:
        while True:
            is_last = self._ending.wait(0 if self._producer is None else BEAT_EVERY_S)
            try:
                self._tell(is_last)
            except _AWAY as error:
                _log.debug("no heartbeat was sent (%s)", type(error).__name__)
                self._let_go()
                is_last = is_last or self._ending.wait(BEAT_EVERY_S)
            if is_last:
                self._let_go()
                return

    def end(self) -> None:
        """Send that the connector ended, and wait a moment for the broker to take it."""
        self._ending.set()
        self.join(2 * _ANSWER_S)

    def _tell(self, is_last: bool) -> None:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._brokers.split(","),
                max_block_ms=int(_ANSWER_S * 1000),
                request_timeout_ms=int(_ANSWER_S * 1000),
                delivery_timeout_ms=int(2 * _ANSWER_S * 1000),
                bootstrap_timeout_ms=int(_ANSWER_S * 1000),
                linger_ms=0,
            )
        key, value = record_of(self._beat(is_last))
        self._producer.send(HEARTBEAT_TOPIC, key=key, value=value).get(timeout=_ANSWER_S)

    def _beat(self, is_last: bool) -> Beat:
        pulse, now = self._pulse, datetime.now(UTC)
        waiting = pulse.longest_wait()
        return Beat(
            role=Role.CONNECTOR,
            name=self._connector,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=hub_version(),
            machine=own_identity(),
            began_at=pulse.began_at,
            beat_at=now,
            progress_at=pulse.progress_at,
            doing=f"{self._streams} streams, {pulse.published:,} published",
            waits_for=waiting[0] if waiting else None,
            waits_since=waiting[1] if waiting else None,
            behind_s=round(pulse.behind_s(), 1),
            ended_at=now if is_last else None,
        )

    def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=0.5)
