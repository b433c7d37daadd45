"""Evidence in the worker: its chores, and what the health page shows of it."""

import logging
from collections.abc import Callable

from sqlalchemy import Engine

from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.intake.status import Errand, IntakeStatus
from hub.model.errors import ConfigError, RetryableError
from hub.operate.evidence.keeper import EvidenceGate, EvidenceKeeper, Keeping
from hub.operate.evidence.keys import KeySource
from hub.warehouse.database import translated_errors
from hub.warehouse.evidence.months import ensure_months, missing_months
from hub.warehouse.setup.roles import grant_roles, may_migrate
from hub.worker.chores import Chore

_log = logging.getLogger(__name__)

MONTHS_EVERY_S = 3600.0


def evidence_chores(
    settings: Settings, places: Endpoints, engines: tuple[Engine, Engine], gate: EvidenceGate
) -> tuple[Chore, ...]:
    """Return the chores that seal and sign, and that create the audit log's partitions for coming months.

    ``engines``: one connects as the user of ``HUB_DATABASE_URL``, one with the worker's role.

    Raises:
        ConfigError: the evidence limit is not longer than the time between two heads.
    """
    owner, working = engines
    if settings.evidence_limit_s <= settings.evidence_every_s:
        raise ConfigError(["HUB_EVIDENCE_LIMIT_S must be longer than HUB_EVIDENCE_EVERY_S"])
    # The Kafka client of the head topic logs every step of every connection.
    logging.getLogger("kafka").setLevel(logging.WARNING)
    keys = KeySource.of(settings)
    if keys.is_own:
        _log.warning(
            "no HUB_SIGNING_KEY_FILE is set: evidence is signed with a key that lies in %s; "
            "make one with `hub audit keygen` and keep it where only the worker reads it",
            keys.folder,
        )
    try:
        keys.load()
    except RetryableError as error:
        gate.close(error.message)
    keeping = Keeping(working, places.bootstrap, keys.load, settings.evidence_every_s, settings.evidence_limit_s)
    keeper = EvidenceKeeper(keeping, gate)
    return (
        Chore("evidence", keeping.look_every_s, keeper.look, _yields_s(settings)),
        Chore("months of the audit log", MONTHS_EVERY_S, lambda: _make_months(owner, settings.database_schema)),
    )


def _yields_s(settings: Settings) -> float:
    """Let the stream go first for at most half of the time left to the limit: waiting alone never stops commits."""
    every_s, limit_s = settings.evidence_every_s, settings.evidence_limit_s
    return min(every_s, (limit_s - every_s) / 2)


def _make_months(owner: Engine, schema: str) -> None:
    with translated_errors("making the months of the audit log"), owner.begin() as connection:
        if may_migrate(connection, schema):
            if ensure_months(connection):
                grant_roles(connection, schema)
        elif missing := missing_months(connection):
            _log.warning("rows will need %s, which the owner makes: hub db migrate", ", ".join(missing))


def evidence_shown(status: IntakeStatus) -> Callable[[str | None], None]:
    """Return the function that shows on the health page that the worker waits for evidence, or no longer does."""

    def show(why: str | None) -> None:
        if why is None:
            status.goes_on(Errand.EVIDENCE)
        else:
            status.waits(Errand.EVIDENCE, f"evidence cannot be written: {why}")

    return show
