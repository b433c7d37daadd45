"""Publish events of one subject directly to its topic: for reference data that no source database holds."""

from collections.abc import Iterable, Mapping
from typing import Any

from hub.codec.encode import Encoder
from hub.embedded.locate import Endpoints
from hub.log.clients import CONFIRM_LIMIT_S, log_writer
from hub.topology import event_topic


def publish(where: Endpoints, subject: str, events: Iterable[Mapping[str, Any]]) -> int:
    """Encode and send events in order; return how many, when the broker has confirmed every one.

    Raises:
        UnreachableError: the broker does not answer, or did not confirm in time; it is safe to send all again.
        PoisonError: an event has a value that its schema does not allow.
    """
    encoder, topic = Encoder(subject, where.key_secret), event_topic(subject)
    with log_writer(where.bootstrap, f"{topic} may have some of them; all can be sent again") as out:
        waiting = [out.send(topic, key=encoder.key(event), value=encoder.encode(event)) for event in events]
        out.flush(timeout=CONFIRM_LIMIT_S)
        for sent in waiting:
            sent.get(timeout=CONFIRM_LIMIT_S)
    return len(waiting)
