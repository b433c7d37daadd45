"""The hub's alerts for operators: each is declared here once, with its meaning and what to do.

An alert is open for a place (a topic-partition, a topic, or the whole hub) while its cause exists. Each has a page in
``docs/runbook.md`` under its name.
"""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How soon somebody must look."""

    PAGE = "page"
    """Now, at any hour: records wait, or a count does not add up."""
    TICKET = "ticket"
    """In working hours."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One kind of alert: its name, its severity, its meaning, and the first thing to do (a command)."""

    name: str
    severity: Severity
    means: str
    do: str


UNBALANCED = Alert(
    "unbalanced",
    Severity.PAGE,
    "a partition's consumed records are not the sum of their outcomes: rows are missing or there are too many",
    "hub ledger --check",
)
PARTITION_STOPPED = Alert(
    "partition_stopped",
    Severity.PAGE,
    "a partition is stopped: too many poison records, bytes that are not records, or a log without its stored offset",
    "hub partitions list",
)
TOPIC_GONE = Alert(
    "topic_gone",
    Severity.PAGE,
    "a topic of the hub is not on Kafka: sources cannot send to it, and what it held is not read",
    "hub topics ensure",
)
WORKER_BUG = Alert(
    "worker_bug",
    Severity.PAGE,
    "a bug of the hub ended a worker at a batch of this partition, or stopped the partition; the others continue",
    "hub partitions list",
)
CHORE_FAILS = Alert(
    "chore_fails",
    Severity.PAGE,
    "a bug of the hub makes a worker's chore fail repeatedly: this worker no longer keeps the ledger, evidence or "
    "heartbeats; batches continue, and the chore is tried again",
    "hub alerts list",
)
EVIDENCE_NOT_WRITTEN = Alert(
    "evidence_not_written",
    Severity.PAGE,
    "audit rows cannot be sealed or signed: the worker takes no more events until they can",
    "hub audit status",
)
EVIDENCE_BROKEN = Alert(
    "evidence_broken",
    Severity.PAGE,
    "audit rows are not what was sealed: somebody or something changed them",
    "hub audit verify",
)
OPERATOR_LOCKED = Alert(
    "operator_locked",
    Severity.TICKET,
    "a wrong credential was given too often: that person cannot approve until another operator unlocks them",
    "hub operators list",
)
WORKER_GONE = Alert(
    "worker_gone",
    Severity.PAGE,
    "a worker was killed or hangs, or none runs any more: records wait if no other works",
    "hub worker",
)
SHARE_GONE = Alert(
    "share_gone",
    Severity.PAGE,
    "share was killed or hangs, or none runs any more: the portal does not get changes",
    "hub share",
)
SHARE_BEHIND = Alert(
    "share_behind",
    Severity.TICKET,
    "share runs, but the portal's data is older than the limit",
    "hub ledger",
)
CONNECTOR_GONE = Alert(
    "connector_gone",
    Severity.PAGE,
    "a source's connector was killed or hangs: changes of that source do not arrive",
    "hub connect run",
)
CONNECTOR_BEHIND = Alert(
    "connector_behind",
    Severity.TICKET,
    "a source's connector runs, but what it still has to read is older than the limit",
    "hub status",
)
RECORD_SET_ASIDE = Alert(
    "record_set_aside",
    Severity.TICKET,
    "single records could not be published: the portal has an older state of their keys, or none; all others continue",
    "hub share set-aside",
)
RECORD_TOPIC_ANEW = Alert(
    "record_topic_anew",
    Severity.PAGE,
    "a topic that share writes to was deleted and created again: the portal lacks what was published before",
    "hub share status",
)
RECORD_TOPIC_BLOCKED = Alert(
    "record_topic_blocked",
    Severity.PAGE,
    "share cannot publish to a topic: it does not exist, accepts nothing, or its records cannot be composed; the "
    "portal does not see what changes there; all other topics go on",
    "hub share status",
)
SHARE_BUG = Alert(
    "share_bug",
    Severity.PAGE,
    "a bug of the hub stops share, which tries again: the portal does not see what changes",
    "hub share status",
)
SHARE_WAITS = Alert(
    "share_waits",
    Severity.PAGE,
    "share waits and publishes nothing: the portal does not get changes",
    "hub share status",
)
DATED_AHEAD = Alert(
    "dated_ahead",
    Severity.TICKET,
    "records are dated far ahead, by their time or version: each waits for an officer, others of its key continue",
    "hub parked list",
)
LETTERS_WAIT = Alert(
    "letters_wait",
    Severity.TICKET,
    "dead letters of this topic wait and nobody has handled them: they are too many, or the oldest is too old",
    "hub deadletters list",
)
COMPARE_DIFFERS = Alert(
    "compare_differs",
    Severity.TICKET,
    "a source and what the hub holds of it differ: keys are missing, left over or different",
    "hub connect compare DECLARATION",
)

ALERTS = tuple(declared for declared in list(globals().values()) if isinstance(declared, Alert))
"""Every alert."""


def alert_named(name: str) -> Alert | None:
    """Return the alert of that name; None if there is none (a row of an older version)."""
    return next((alert for alert in ALERTS if alert.name == name), None)
