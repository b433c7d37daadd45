"""Check every audit row, and whether what it says exists: claims, records, parked records, dead letters (I5).

The worker's check does the same little by little (hub.reconcile.ledger.check); this does all of it at once, for
``hub ledger --check``. It writes nothing.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from hub.reconcile.ledger.accounts import Account, Loss, Stretch, read_accounts, shared_out
from hub.reconcile.ledger.counts import losses_beyond, losses_of, outcomes_by_stretch
from hub.warehouse.database import translated_errors

Progress = Callable[[int, int], None]
"""Receives how many stretches are done, and how many there are."""

_OFFSETS_AT_ONCE = 500_000
"""Stretches of this many offsets: if it is faster, what their rows name is looked up by reading whole tables."""


def every_loss(engine: Engine, progress: Progress = lambda done, of: None) -> list[Loss]:
    """Return everything that the ledger lacks, by coordinates; one snapshot.

    Raises:
        UnreachableError: the database does not answer.
    """
    with translated_errors("checking the ledger"), engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            accounts = read_accounts(connection)
            todo = [(stretch, rows) for account in accounts for stretch, rows in _stretches(connection, account)]
            losses = losses_beyond(connection, accounts)
            for done, (stretch, rows) in enumerate(todo):
                progress(done, len(todo))
                losses += losses_of(connection, stretch, rows)
            progress(len(todo), len(todo))
    return losses


def _stretches(connection: Connection, account: Account) -> list[tuple[Stretch, int]]:
    bounds = {"log": account.log, "first": account.first_offset, "end": account.next_offset}
    counted: dict[int, int] = {}
    for stretch, _, records in connection.execute(outcomes_by_stretch(_OFFSETS_AT_ONCE), bounds):
        counted[stretch] = counted.get(stretch, 0) + records
    shared = shared_out(account, account.first_offset, account.consumed, counted, _OFFSETS_AT_ONCE)
    return [(stretch, counted.get(stretch.first // _OFFSETS_AT_ONCE, 0)) for stretch in shared]
