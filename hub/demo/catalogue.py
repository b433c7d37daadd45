"""Publish the demo's procedures as the portal's catalogue."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from hub.demo.procedures import PROCEDURES
from hub.embedded.locate import Endpoints
from hub.operate.log.publish import publish

SUBJECT = "procedure.changed"
SOURCE, AGENCY = "dvcqg", "G22"


def load_catalogue_of_procedures(where: Endpoints) -> int:
    """Publish every procedure and return how many; if repeated, the same events are duplicates."""
    return publish(where, SUBJECT, _events())


def _events() -> Iterator[dict[str, Any]]:
    for procedure in PROCEDURES:
        yield {
            "event_id": uuid.uuid5(uuid.NAMESPACE_URL, f"hub:{SUBJECT}:{SOURCE}:{procedure.code}"),
            "occurred_at": datetime(2025, 1, 1, tzinfo=UTC),
            "recorded_at": datetime.now(UTC),
            "source_system": SOURCE,
            "source_agency": AGENCY,
            "source_epoch": 1,
            "source_version": 1,
            "operation": "SNAPSHOT",
            "unit_scheme": "GSO_2025",
            "procedure_code": procedure.code,
            "procedure_code_base": procedure.code[:8],
            "name": procedure.name,
            "field_code": procedure.field_code,
            "field_name": procedure.field_name,
            "level": procedure.level,
            "state": "PUBLISHED",
            "valid_from": date(2025, 1, 1),
        }
