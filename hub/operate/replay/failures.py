"""What a replay does about a bug: the replay is marked as failed, with the reason, and the command ends.

The state stays: each step of a replay is a transaction, so the next run, switch or undo begins where it was.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, update

from hub.intake.faults.bugs import is_bug
from hub.model.bug import Bug
from hub.model.errors import HubError, LostRangeError, PoisonError
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.replays import replay

_log = logging.getLogger(__name__)


class ReplayFailedError(HubError):
    """A bug ended a replay's command; the message has the lines of code, and no value."""

    code = "REPLAY_FAILED"


@contextmanager
def failures_marked(live: Engine, number: int) -> Iterator[None]:
    """Mark a replay as failed if a ``with`` block that works on it ends by a bug, or cannot read its events.

    Raises:
        ReplayFailedError: instead of the bug.
    """
    try:
        yield
    except (LostRangeError, PoisonError) as error:
        _mark(live, number, f"{error.code}: {error.message}")
        raise
    except BaseException as error:
        if not is_bug(error):
            raise
        reason = Bug.of(error).line
        _mark(live, number, reason)
        raise ReplayFailedError(
            f"replay {number} failed because of a bug of the hub: {reason}; what was not finished is undone, the "
            f"same command tries it again; `hub replay show {number}` shows the reason"
        ) from None


def _mark(live: Engine, number: int, reason: str) -> None:
    try:
        with translated_errors("marking a replay as failed"), live.begin() as connection:
            marking = update(replay).values(failed_at=func.now(), failure=reason)
            connection.execute(marking.where(replay.c.id == number))
    except Exception as error:  # noqa: BLE001 - the failure itself must reach the operator
        _log.warning("replay %d could not be marked as failed: %s", number, Bug.of(error).title)


def clear_failure(connection: Connection, number: int) -> None:
    """Forget the failure of an earlier try, in the caller's transaction."""
    connection.execute(update(replay).values(failed_at=None, failure=None).where(replay.c.id == number))
