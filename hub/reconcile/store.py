"""The warehouse as the intake uses it: stored positions, and batches made durable, one transaction each."""

import logging
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Connection, Engine

from hub.log.places import Partition
from hub.model.errors import DeadLetterLimitError, PoisonError
from hub.reconcile.fence import Stamp
from hub.reconcile.isolate import without_refused_rows
from hub.reconcile.merge import Merged, commit_batch
from hub.reconcile.parking.letting_in import let_in_decided
from hub.reconcile.parking.releasing import Releasable, ask_about_overdue, releasable
from hub.reconcile.shared.stage import ensure_stages_of
from hub.warehouse.batch import Batch
from hub.warehouse.database import translated_errors
from hub.warehouse.offsets import LogFound, Position, placed

_log = logging.getLogger(__name__)


class WarehouseStore:
    """Commits batches under one stamp. Used from one thread at a time."""

    def __init__(
        self, engine: Engine, stamp: Stamp, parking_deadline: timedelta = timedelta(hours=72), most_refused: int = 0
    ) -> None:
        """Take what commits need.

        Args:
            engine: of the warehouse.
            stamp: who commits, under which policy.
            parking_deadline: how long an event may wait before an officer is asked.
            most_refused: how many rows of one batch PostgreSQL may refuse before the fault is the hub's; 0: any number.
        """
        self._engine = engine
        self._stamp = stamp
        self._parking_deadline = parking_deadline
        self._most_refused = most_refused

    def place(self, found: Mapping[Partition, LogFound]) -> Mapping[Partition, Position]:
        """Return the stored positions of partitions; a partition without one begins where its log begins.

        Raises:
            UnreachableError: the database does not answer.
        """
        with translated_errors("reading the stored offsets"), self._engine.begin() as connection:
            return placed(connection, found)

    def commit(self, batch: Batch) -> Merged:
        """Make a batch durable. A row that PostgreSQL refuses becomes a dead letter; the rest is committed.

        Raises:
            RetryableError: a server is unreachable or busy; the same batch will work later.
            ConcurrentUpdateError: another worker moved one of the partitions.
            DeadLetterLimitError: PostgreSQL refuses too many rows.
            PoisonError: each row can be stored alone, but not all together; smaller batches can be committed.
        """
        given = batch.dead_letters.height
        while True:
            try:
                with translated_errors("committing a batch"), self._engine.connect() as connection:
                    return self._commit_on(connection, batch)
            except PoisonError as error:
                _log.warning("looking for the row that PostgreSQL refuses: %s", error)
                with translated_errors("looking for a refused row"), self._engine.connect() as connection:
                    batch = without_refused_rows(connection, batch, error, self._stamp)
                refused = batch.dead_letters.slice(given).select("log", "log_offset", "reason").rows()
                if self._most_refused and not batch.released and len(refused) >= self._most_refused:
                    raise DeadLetterLimitError(f"PostgreSQL refuses {len(refused)} rows of a batch", refused) from error

    def attempt(self, batch: Batch) -> None:
        """Do all that ``commit`` does with a batch, and roll it back; raises what ``commit_batch`` raises."""
        with translated_errors("trying a batch"), self._engine.connect() as connection:
            ensure_stages_of(connection, batch)
            transaction = connection.begin()
            try:
                commit_batch(connection, batch, self._stamp)
            finally:
                transaction.rollback()

    def releasable(self, most: int, thorough: bool) -> list[Releasable]:
        """Return parked records that may go; ask officers about those that have waited longer than the deadline.

        Raises:
            RetryableError: a server is unreachable; ask again later.
        """
        with translated_errors("looking at parked records"), self._engine.begin() as connection:
            if thorough:
                let_in_decided(connection)
                ask_about_overdue(connection, self._parking_deadline)
            return releasable(connection, most, thorough)

    def _commit_on(self, connection: Connection, batch: Batch) -> Merged:
        ensure_stages_of(connection, batch)
        with connection.begin():
            return commit_batch(connection, batch, self._stamp)
