"""The state of share: who publishes, what it waits for, its backlog, what is set aside, what to publish again."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from hub.model.alerts import RECORD_TOPIC_ANEW
from hub.model.processes import Condition, Judged, Limits, Role
from hub.share.blocked import BlockedTopic, read_blocked
from hub.share.delay import Delay, read_delays
from hub.share.republish import Republication, open_requests
from hub.share.set_aside import count_asides
from hub.share.topics import Added, partitions_added
from hub.warehouse.alerts import read_alerts
from hub.warehouse.processes import read_processes


@dataclass(frozen=True, slots=True)
class ShareReport:
    """What commands show of share.

    Fields:
        processes: the share processes that sent heartbeats, and their state.
        delays: by topic.
        set_aside: number of records, by topic.
        blocked: topics that share cannot publish to, by topic; it goes on with all others.
        anew: topics that were recreated, and what to do.
        requests: what is to be published again.
        added: topics that have more partitions than share fills; this needs no action.
    """

    processes: tuple[Judged, ...]
    delays: tuple[Delay, ...]
    set_aside: dict[str, int]
    blocked: dict[str, BlockedTopic]
    anew: dict[str, str]
    requests: tuple[Republication, ...]
    added: tuple[Added, ...]

    @property
    def is_well(self) -> bool:
        """Whether a share publishes, and every record is where it should be."""
        publishes = any(one.condition is Condition.RUNS for one in self.processes)
        return publishes and not self.set_aside and not self.blocked and not self.anew

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "processes": [one.as_json() for one in self.processes],
            "topics": [asdict(one) | {"since": one.since and one.since.isoformat()} for one in self.delays],
            "set_aside": self.set_aside,
            "blocked": [
                asdict(one) | {"since": one.since.isoformat(), "tried_at": one.tried_at.isoformat()}
                for one in self.blocked.values()
            ],
            "made_anew": self.anew,
            "partitions_added": [asdict(one) for one in self.added],
            "republications": [
                {
                    "id": one.id,
                    "name": one.name,
                    "total": one.total,
                    "done": one.done,
                    "actor": one.actor,
                    "reason": one.reason,
                    "asked_at": one.asked_at.isoformat(),
                }
                for one in self.requests
            ],
        }


def read_report(connection: Connection, limits: Limits) -> ShareReport:
    """Return the report; ``limits``: when a process counts as gone or behind."""
    anew = {one.place: one.detail for one in read_alerts(connection) if one.name == RECORD_TOPIC_ANEW.name}
    return ShareReport(
        tuple(one for one in read_processes(connection, limits) if one.beat.role is Role.SHARE),
        tuple(read_delays(connection)),
        count_asides(connection),
        read_blocked(connection),
        anew,
        tuple(open_requests(connection)),
        tuple(partitions_added(connection)),
    )
