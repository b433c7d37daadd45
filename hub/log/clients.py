"""Kafka clients for commands and chores, except the consumer (hub.log.reader): one producer, one administrator.

The long-running streams have their own clients: the worker's consumer (hub.log.stream), share's and the connectors'
producers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from hub.embedded.kafka import broker_answers
from hub.model.errors import UnreachableError
from hub.retry import FIRST_ANSWER_MS

CONFIRM_LIMIT_S = 60.0
"""How long a broker may take to confirm records."""
_ANSWER_MS = 10_000


def check_broker(bootstrap: str) -> None:
    """Check that a broker answers: a client that finds no broker retries for long and leaves its sockets open.

    Raises:
        UnreachableError: no broker answers.
    """
    if not broker_answers(bootstrap):
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}; is it up, and is HUB_KAFKA_BOOTSTRAP right?")


@contextmanager
def log_writer(
    bootstrap: str, advice: str, limit_s: float = CONFIRM_LIMIT_S, **options: Any
) -> Iterator[KafkaProducer]:
    """Yield an idempotent producer whose records every replica confirms; the caller waits for the confirmations.

    Args:
        bootstrap: Kafka brokers.
        advice: what to do if the broker did not confirm every record; part of the message.
        limit_s: how long closing waits for unconfirmed records.
        options: settings of ``KafkaProducer`` that replace the defaults.

    Raises:
        UnreachableError: no broker answers, or it did not confirm in time.
    """
    check_broker(bootstrap)
    settings = {"linger_ms": 20, "batch_size": 262_144, "compression_type": "lz4", **options}
    try:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            enable_idempotence=True,
            acks="all",
            bootstrap_timeout_ms=FIRST_ANSWER_MS,
            **settings,
        )
        try:
            yield producer
        finally:
            producer.close(timeout=limit_s)
    except KafkaError as error:
        raise UnreachableError(f"the broker did not confirm every record ({type(error).__name__}): {advice}") from error


def open_admin(bootstrap: str, answer_ms: int = _ANSWER_MS) -> KafkaAdminClient:
    """Return a client that reads and changes topics and groups; the caller closes it.

    Raises:
        UnreachableError: no broker answers.
    """
    check_broker(bootstrap)
    try:
        return KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","), request_timeout_ms=answer_ms, bootstrap_timeout_ms=FIRST_ANSWER_MS
        )
    except KafkaError as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}") from error


@contextmanager
def log_admin(bootstrap: str, answer_ms: int = _ANSWER_MS) -> Iterator[KafkaAdminClient]:
    """Yield a client of ``open_admin``; the caller translates errors inside."""
    client = open_admin(bootstrap, answer_ms)
    try:
        yield client
    finally:
        client.close()
