"""What ``hub audit verify`` checks, one thing after the other, with progress."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing

from sqlalchemy import Connection, Engine

from hub.cli.evidence.view import counting
from hub.cli.shared.context import warehouse
from hub.config import Settings
from hub.embedded.locate import Endpoints
from hub.intake.decode.decoder import GuardedDecoder
from hub.model.alerts import EVIDENCE_BROKEN
from hub.model.errors import RetryableError
from hub.operate.evidence.bytes import BytesCheck
from hub.operate.evidence.heads import published_heads, stored_heads
from hub.operate.evidence.keys import read_public_key
from hub.operate.evidence.outcomes import Derivation
from hub.operate.evidence.verify import Range, Verification, verify_rows
from hub.operate.evidence.verify_heads import verify_heads
from hub.warehouse.alerts import clear_alert, raise_alert
from hub.warehouse.database import translated_errors

_log = logging.getLogger(__name__)


def verified(
    settings: Settings,
    places: Endpoints,
    wanted: Range,
    keys: Sequence[str] | None,
    *,
    with_bytes: bool,
    with_heads: bool,
) -> Verification:
    """Return what a verification found.

    Args:
        settings: of the command.
        places: of Kafka and PostgreSQL.
        wanted: whose rows are read.
        keys: public keys that are trusted; None: those that the warehouse names.
        with_bytes: read the log's bytes too.
        with_heads: read the published heads.
    """
    trusted = {read_public_key(key) for key in keys} if keys else None
    published = published_heads(places.bootstrap) if with_heads else None
    engine = warehouse(settings, places, "hub audit")
    with translated_errors("verifying the evidence"), engine.connect() as connection:
        heads, links = verify_heads(stored := stored_heads(connection), published, trusted)
        with counting("rows verified") as progress:
            found = verify_rows(connection, links, wanted, progress)
        found.findings[:0] = heads
        found.heads, found.published = len(stored), None if published is None else len(published)
        if with_bytes:
            with counting("records read") as progress:
                _add_bytes(connection, settings, places, found, wanted.chain, progress)
    _tell(engine, found, wanted)
    return found


def _tell(engine: Engine, found: Verification, wanted: Range) -> None:
    """Raise the alert, or clear it if everything was checked and is whole; a read-only user changes nothing."""
    try:
        with translated_errors("noting an alert"), engine.begin() as connection:
            if not found.is_whole:
                kinds = sorted({one.wrong.value for one in found.findings})
                first = found.findings[0]
                detail = f"{len(found.findings)} findings ({', '.join(kinds)}), the first: {first.wrong} {first.where}"
                raise_alert(connection, EVIDENCE_BROKEN, "hub", detail)
            elif wanted == Range():
                clear_alert(connection, EVIDENCE_BROKEN)
    except RetryableError as error:
        _log.warning("the alert %s is not noted: %s", EVIDENCE_BROKEN.name, error)


def _add_bytes(
    connection: Connection,
    settings: Settings,
    places: Endpoints,
    found: Verification,
    chain: str | None,
    progress: Callable[[int], None],
) -> None:
    with (
        GuardedDecoder(settings.decode_timeout_s, settings.decode_memory_mb) as decoder,
        closing(
            BytesCheck(places.bootstrap, Derivation(connection, decoder, places.key_secret), progress)
        ) as comparing,
    ):
        found.findings += comparing.findings(connection, chain)
        found.records, found.gone = comparing.compared.records, comparing.compared.gone
