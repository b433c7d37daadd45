"""Publish events of one subject straight to its topic: for reference data that no source database holds."""

from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from hub.codec.encode import Encoder
from hub.embedded.locate import Endpoints
from hub.model.errors import UnreachableError
from hub.retry import FIRST_ANSWER_MS
from hub.topology import event_topic

FLUSH_LIMIT_S = 60.0


def producer(bootstrap: str, max_request_bytes: int = 1_048_576) -> KafkaProducer:
    """Return an idempotent producer with ``acks=all``; the caller closes it.

    Raises:
        UnreachableError: the broker does not answer.
    """
    try:
        return KafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=20,
            batch_size=262_144,
            compression_type="lz4",
            max_request_size=max_request_bytes,
            bootstrap_timeout_ms=FIRST_ANSWER_MS,
        )
    except KafkaError as error:
        raise UnreachableError(f"the broker at {bootstrap} does not answer") from error


def publish(where: Endpoints, subject: str, events: Iterable[Mapping[str, Any]]) -> int:
    """Encode and send events in their order; return how many, once the broker has confirmed every one.

    Raises:
        UnreachableError: the broker does not answer, or did not confirm in time; sending all again is safe.
        PoisonError: an event has a value that its schema does not allow.
    """
    encoder, topic = Encoder(subject, where.key_secret), event_topic(subject)
    out = producer(where.bootstrap)
    try:
        waiting = [out.send(topic, key=encoder.key(event), value=encoder.encode(event)) for event in events]
        out.flush(timeout=FLUSH_LIMIT_S)
        for sent in waiting:
            sent.get(timeout=FLUSH_LIMIT_S)
    except KafkaError as error:
        raise UnreachableError(f"{topic}: the broker did not confirm every event") from error
    finally:
        out.close(timeout=FLUSH_LIMIT_S)
    return len(waiting)
