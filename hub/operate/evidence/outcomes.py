"""Derive again, from a record's bytes, what the decoder and the checks said of it when it was read.

Derived: whether it can be read and passes the checks, else its reason; its flags, content hash and event id. This uses
the policy under which the record was read, and the rules of this version of the hub. What the merge and people decided
cannot be derived: see ``NOT_DERIVED``.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from hub.log.odd import OddRecord
from hub.model.flags import flags_in
from hub.model.outcomes import OUTCOME_OF_REASON, Outcome, Reason
from hub.model.policies.policy import parse_policy
from hub.model.refusals import Stage, refusal
from hub.warehouse.sources import source_numbers
from hub.warehouse.tables.core import batch, policy

DERIVED = frozenset(
    {
        Reason.UNREADABLE_RECORD,
        Reason.TOMBSTONE,
        Reason.EMPTY,
        Reason.TOO_LARGE,
        Reason.BAD_MAGIC,
        Reason.WRONG_SUBJECT,
        Reason.NOT_DECODABLE,
        Reason.TRAILING_BYTES,
        Reason.INVALID_VALUE,
        Reason.KEY_MISMATCH,
        Reason.SOURCE_UNKNOWN,
        Reason.SOURCE_NOT_ALLOWED,
        Reason.BEFORE_START,
        Reason.AFTER_CUT_OVER,
    }
)
"""Reasons that follow from the bytes and the policy alone."""

_OF_THE_MACHINE = frozenset({Reason.DECODER_TIMEOUT, Reason.DECODER_CRASH})

OF_THE_MERGE = frozenset({Reason.VERSION_REUSED, Reason.REFERENCE_MISSING, Reason.TIME_IN_FUTURE})
"""Reasons of records that pass every check: they depend on what the warehouse held."""

NOT_DERIVED = (
    "which of applied, superseded, duplicate, stale and parked a record became: that is what the warehouse held then",
    "UNKNOWN_SCHEMA_ID, when the schema has been published since",
    "DECODER_TIMEOUT and DECODER_CRASH, WORKER_BUG, and what PostgreSQL refused",
    "what people decided: SKIPPED_BY_OPERATOR, DISCARDED",
)
"""What ``--bytes`` accepts as the row says it, without a check."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What the bytes of a record say. ``reason`` None: it passes every check."""

    reason: Reason | None
    flags: int
    content_hash: int | None
    event_id: bytes | None


class Derivation:
    """Derives outcomes of the records of a warehouse, each under the policy of its batch."""

    def __init__(self, connection: Connection, decoder: GuardedDecoder, secret: str) -> None:
        self._connection = connection
        self._decoder = decoder
        self._secret = secret
        self._numbers = source_numbers(connection)
        self._preparers: dict[str, Preparer | None] = {}

    def derive(self, log: Any, rows: Mapping[int, Any], records: Mapping[int, Any]) -> dict[int, Derived]:
        """Return what the records at some places of a log partition say; nothing for a policy that is no longer stored.

        Args:
            log: the row of the log partition.
            rows: audit rows, by place.
            records: of the log, by place; each has ``key`` and ``value``.
        """
        by_digest: dict[str, list[int]] = defaultdict(list)
        digests = self._digests({rows[place].batch for place in records})
        for place in sorted(records):
            by_digest[digests.get(rows[place].batch, "")].append(place)
        found: dict[int, Derived] = {}
        for digest, places in by_digest.items():
            preparer = self._preparer(digest)
            if preparer is not None:
                found |= _derived(preparer, log, places, records)
        return found

    def _digests(self, batches: set[int]) -> dict[int, str]:
        rows = self._connection.execute(select(batch.c.id, batch.c.policy_digest).where(batch.c.id.in_(batches)))
        return {number: digest for number, digest in rows}

    def _preparer(self, digest: str) -> Preparer | None:
        if digest not in self._preparers:
            document = self._connection.execute(
                select(policy.c.document).where(policy.c.digest == digest).limit(1)
            ).scalar_one_or_none()
            self._preparers[digest] = None if document is None else self._made(document)
        return self._preparers[digest]

    def _made(self, document: str) -> Preparer:
        rules = SourceRules.of(parse_policy(document.encode(), "applied policy"), self._numbers)
        return Preparer(self._decoder, rules, self._secret)


def _derived(preparer: Preparer, log: Any, places: list[int], records: Mapping[int, Any]) -> dict[int, Derived]:
    polled = Polled(
        log=log.id,
        topic=log.topic,
        partition=log.partition,
        expected=places[0],
        offsets=places,
        keys=[records[place].key for place in places],
        values=[records[place].value for place in places],
        unreadable={place: one.why for place in places if isinstance(one := records[place], OddRecord)},
    )
    prepared = preparer.prepare([polled])
    found: dict[int, Derived] = {}
    for accepted in prepared.accepted:
        for place, flags, content, event in accepted.frame.select(
            "log_offset", "flags", "content_hash", "event_id"
        ).iter_rows():
            found[place] = Derived(None, flags or 0, content, event)
    refused = prepared.refused.select("log_offset", "reason", "content_hash", "event_id")
    for place, reason, content, event in refused.iter_rows():
        found[place] = Derived(Reason(reason), 0, content, event)
    return found


def outcome_difference(row: Any, derived: Derived) -> str:
    """Say how a row's outcome, reason and flags differ from those of the bytes; empty if they do not."""
    said = f"{row.outcome} {row.reason or ''}".strip()
    reason = _known(row.reason)
    if row.reason is not None and reason is None:
        return f"the row says {said}: there is no such reason"
    if reason is not None and Outcome(row.outcome) is not OUTCOME_OF_REASON[reason]:
        return f"the row says {said}: that reason belongs to another outcome"
    if _is_taken_as_said(row, reason):
        return ""
    if derived.reason in _OF_THE_MACHINE:
        return ""
    if derived.reason is not None:
        same = reason is derived.reason
        return "" if same else f"the row says {said}, and the bytes are refused: {derived.reason.value}"
    if reason in DERIVED or (reason is None and row.outcome in {Outcome.REJECTED.value, Outcome.DEAD_LETTERED.value}):
        return f"the row says {said}, and the bytes pass every check"
    if (row.flags or 0) != derived.flags:
        return f"the row has the flags {_names(row.flags or 0)}, and the bytes give {_names(derived.flags)}"
    return ""


def _is_taken_as_said(row: Any, reason: Reason | None) -> bool:
    if reason is None or reason in OF_THE_MERGE:
        return False
    is_of_the_store = reason is Reason.INVALID_VALUE and refusal(reason, row.detail or "").stage is Stage.STORE
    return reason not in DERIVED or is_of_the_store


def _known(reason: str | None) -> Reason | None:
    return Reason(reason) if reason is not None and reason in Reason.__members__ else None


def _names(mask: int) -> str:
    return ", ".join(str(flag.name) for flag in flags_in(mask)) or "none"
