"""Write evidence next to the stream, and stop the stream when evidence cannot be written: a chore and a gate.

One worker at a time seals, signs and publishes. Every worker checks that evidence keeps up: a published head must
cover each committed row before the row is older than the limit, whichever worker had to do it.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Engine, func, select, text

from hub.model.alerts import EVIDENCE_NOT_WRITTEN
from hub.model.bug import Bug
from hub.model.errors import HubError, RetryableError, UnreachableError
from hub.operate.evidence.heads import note_published, oldest_unproven, publish_heads, sign_head, unpublished_heads
from hub.operate.evidence.keys import SigningKey
from hub.operate.evidence.seal import open_logs, seal_all
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.evidence.find import make_stretches
from hub.warehouse.locks import Lock, session_lock
from hub.warehouse.tables.evidence import head

_log = logging.getLogger(__name__)
_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")

ENOUGH_PLACES = 20_000
"""When this many places have no seal, they are sealed even before the next head is due."""

PLACE = "hub"


class EvidenceGate:
    """Lets batches through while evidence can be written. Thread-safe.

    ``on_change`` is called with the reason when it closes, and with None when it opens again.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[str | None], None] = lambda _: None
        self._lock = threading.Lock()
        self._why: str | None = None

    @property
    def why_closed(self) -> str | None:
        """Return why no batch goes through; None while they do."""
        with self._lock:
            return self._why

    def close(self, why: str) -> None:
        """Let no batch through from now on."""
        with self._lock:
            if self._why is None:
                _log.error("taking no more events: %s", why)
            self._why = why
        self.on_change(why)

    def open(self) -> None:
        """Let batches through again."""
        with self._lock:
            if self._why is not None:
                _log.info("evidence is written again: taking events")
            self._why = None
        self.on_change(None)

    def guarded(self, commit: Callable[[_Batch], _Result]) -> Callable[[_Batch], _Result]:
        """Return ``commit`` with a check: it raises RetryableError while the gate is closed, and the batch is kept."""

        def commit_if_open(batch: _Batch) -> _Result:
            why = self.why_closed
            if why is not None:
                raise RetryableError(f"evidence cannot be written: {why}")
            return commit(batch)

        return commit_if_open


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where and how evidence is kept.

    Fields:
        engine: of the warehouse, with the worker's role.
        load_key: returns the key to sign with; raises RetryableError.
        every_s: seconds between two heads.
        limit_s: age in seconds of the oldest uncovered row at which the gate closes.
    """

    engine: Engine
    bootstrap: str
    load_key: Callable[[], SigningKey]
    every_s: float
    limit_s: float

    @property
    def look_every_s(self) -> float:
        """Return how often, in seconds, a worker checks whether there is something to do."""
        return min(5.0, self.every_s)


def _told(failure: Exception) -> str:
    return failure.message if isinstance(failure, HubError) else Bug.of(failure).title


class EvidenceKeeper:
    """The chore: seal, sign, publish, and open or close the gate. Used from one thread at a time."""

    def __init__(self, keeping: Keeping, gate: EvidenceGate) -> None:
        self._keeping = keeping
        self._gate = gate
        self._is_raised = False

    def look(self) -> None:
        """Do what is due.

        Raises:
            RetryableError: it could not be done now; it is safe to try again.
            Exception: a bug. The gate closes at the limit, or at once if the age of the evidence is unknown.
        """
        failure: Exception | None = None
        try:
            with (
                translated_errors("sealing the audit log"),
                session_lock(self._keeping.engine, Lock.SEAL) as connection,
            ):
                if connection is not None:
                    self._keep(connection)
        except Exception as error:  # noqa: BLE001 - the gate is judged first; then it is raised
            failure = error
        try:
            why = self._why_closed(failure)
        except Exception as error:
            self._gate.close(f"nobody can tell how old it is: a bug of the hub: {Bug.of(error).title}")
            raise
        if why is None:
            self._gate.open()
        else:
            self._gate.close(why)
        self._tell(why)
        if isinstance(failure, HubError):
            raise RetryableError(failure.message) from failure
        if failure is not None:
            raise failure

    def _keep(self, connection: Connection) -> None:
        with connection.begin():
            is_due = self._is_head_due(connection)
            waiting = sum(of.end - of.first for of in open_logs(connection))
        if is_due or waiting >= ENOUGH_PLACES:
            seal_all(connection)
            with connection.begin():
                make_stretches(connection)
        if is_due:
            key = self._keeping.load_key()
            with connection.begin():
                sign_head(connection, key)
        with connection.begin():
            heads = unpublished_heads(connection)
        if heads:
            rows = publish_heads(self._keeping.bootstrap, heads)
            with connection.begin():
                note_published(connection, rows)

    def _is_head_due(self, connection: Connection) -> bool:
        age = func.extract("epoch", func.clock_timestamp() - head.c.signed_at)
        last = connection.execute(select(age).order_by(head.c.number.desc()).limit(1)).scalar_one_or_none()
        return last is None or float(last) >= self._keeping.every_s

    def _why_closed(self, failure: Exception | None) -> str | None:
        """Return why the gate must close: at the limit for an outage or a bug, at once for a refusal."""
        if isinstance(failure, HubError) and not isinstance(failure, UnreachableError):
            return failure.message
        try:
            with translated_errors("looking at the evidence"), self._keeping.engine.begin() as connection:
                connection.execute(text("SET LOCAL statement_timeout = '30s'"))
                oldest = oldest_unproven(connection)
                now = connection.execute(select(func.clock_timestamp())).scalar_one()
        except HubError:
            return self._gate.why_closed
        if oldest is None or (now - oldest).total_seconds() <= self._keeping.limit_s:
            return None
        waits_for = _told(failure) if failure is not None else "no worker publishes heads"
        return f"audit rows of {oldest:%Y-%m-%d %H:%M:%S} UTC are in no published head yet ({waits_for})"

    def _tell(self, why: str | None) -> None:
        """Raise or clear the alert, if the database accepts it."""
        if why is None and not self._is_raised:
            return
        try:
            with translated_errors("noting an alert"), self._keeping.engine.begin() as connection:
                if why is not None:
                    raise_alert(connection, EVIDENCE_NOT_WRITTEN, PLACE, why)
                else:
                    clear_alert(connection, EVIDENCE_NOT_WRITTEN)
        except HubError as error:
            _log.warning("the alert %s is not noted: %s", EVIDENCE_NOT_WRITTEN.name, error)
        else:
            self._is_raised = why is not None
