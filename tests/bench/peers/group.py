"""What the broker says of a consumer group: when it began to consume, and how far it is behind."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError

from tests.bench.support.events import TOPIC

LOOK_EVERY_S = 0.01
_LOOKS_PER_CHECK = 50
_LAG_EVERY_S = 0.1


class GroupWatch:
    """Looks at one group from outside, the same way whoever is in it."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=10_000)
        self._group = group

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._admin.close()

    def wait_for_start(self, limit_s: float, check: Callable[[], None]) -> float:
        """Return the moment (``time.monotonic``) at which the group's members first held the topic's partitions.

        ``check`` is called now and then; it raises when waiting has no sense any more.
        """
        deadline = time.monotonic() + limit_s
        looks = 0
        while time.monotonic() < deadline:
            if self._is_consuming():
                return time.monotonic()
            looks += 1
            if looks % _LOOKS_PER_CHECK == 0:
                check()
            time.sleep(LOOK_EVERY_S)
        raise SystemExit(f"group {self._group} had no partitions after {limit_s:.0f} s")

    def consumed(self) -> int:
        """Return how many records of the topic the group has committed."""
        offsets = self._admin.list_group_offsets([self._group])[self._group]
        return sum(int(at.offset) for partition, at in offsets.items() if partition.topic == TOPIC and at.offset > 0)

    def wait_for_lag_0(self, events: int, limit_s: float) -> bool:
        """Wait until the group has committed every record; say whether it has."""
        deadline = time.monotonic() + limit_s
        while (done := self.consumed()) < events and time.monotonic() < deadline:
            time.sleep(_LAG_EVERY_S)
        return done >= events

    def _is_consuming(self) -> bool:
        try:
            found = self._admin.describe_groups([self._group])[self._group]
        except CoordinatorNotAvailableError:
            return False
        held = [
            of_topic
            for member in found["members"]
            for of_topic in (member["member_assignment"] or {}).get("assigned_partitions", [])
            if of_topic["topic"] == TOPIC and of_topic["partitions"]
        ]
        return found["group_state"] == "Stable" and bool(held)


# a coordinator that is not there yet is what the first look of all meets
logging.getLogger("kafka").setLevel(logging.CRITICAL)
