"""Send records, and look at the topics meanwhile: a producer waits silently for a deleted topic, or for a broker."""

import asyncio
from collections.abc import Sequence

from hub.log.topic_ids import TopicIds
from hub.share.blocked import NOT_THERE
from hub.share.send.parcel import Parcel
from hub.share.send.publisher import Publisher, Sent

LOOK_EVERY_S = 5.0
"""How often to look at the topics while sending."""

TRIAL_S = 10.0
"""Longest time of one trial of a blocked topic."""


async def send_watched(
    publisher: Publisher, ids: TopicIds, outgoing: Sequence[Parcel], limit_s: float | None = None
) -> Sent:
    """Send records, except those for a topic that no longer exists.

    Args:
        publisher: sends them.
        ids: tells which topics exist.
        outgoing: the records.
        limit_s: time after which their topics count as broken; None: the publisher's own limit.

    Raises:
        ConcurrentUpdateError: another instance publishes now.
        RetryableError: the broker accepts nothing, or does not answer.
    """
    sending = asyncio.create_task(publisher.publish(outgoing))
    waited_s, missing = 0.0, set[str]()
    try:
        while not missing and (limit_s is None or waited_s < limit_s):
            done, _ = await asyncio.wait({sending}, timeout=LOOK_EVERY_S)
            if done:
                return sending.result()
            waited_s += LOOK_EVERY_S
            topics = {item.topic for item in outgoing}
            missing = topics - set(await asyncio.to_thread(ids.read, sorted(topics)))
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    if not missing:
        return Sent(broken={item.topic: f"the broker accepted nothing within {limit_s:.0f} s" for item in outgoing})
    sent = await send_watched(publisher, ids, [item for item in outgoing if item.topic not in missing], limit_s)
    sent.broken |= dict.fromkeys(missing, NOT_THERE)
    return sent
