"""Publish the country's administrative units as ``admin_unit.changed`` events of the statistics office.

It may be repeated: the same tables give the same events, which the hub then audits as duplicates.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from hub.embedded.locate import Endpoints
from hub.model.envelope import Operation, UnitScheme
from hub.operate.log.publish import publish
from hub.reference.units import MAPPING_SOURCE, MAPPING_VERSION, REFORM_DAY, Link, UnitInterval, unit_intervals

SUBJECT = "admin_unit.changed"
SOURCE, AGENCY = "nso", "G12"
"""The statistics office, under the Ministry of Finance."""

_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_EVENT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, f"hub:{SUBJECT}:{SOURCE}")


def load_units(where: Endpoints) -> int:
    """Publish every interval of every unit and return how many; blocks until the broker has confirmed all.

    Raises:
        UnreachableError: the broker does not answer.
    """
    return publish(where, SUBJECT, unit_events(datetime.now(UTC)))


def unit_events(recorded_at: datetime) -> Iterator[dict[str, Any]]:
    """Return the events of all units, ready for the encoder."""
    for unit in unit_intervals():
        yield _event(unit, recorded_at)


def _event(unit: UnitInterval, recorded_at: datetime) -> dict[str, Any]:
    began = REFORM_DAY if unit.scheme is UnitScheme.GSO_2004 else unit.valid_from
    # An event that says more than an earlier publication has another version and another id.
    more = ["|with agency"] * (unit.agency_code is not None)
    more += ["|with its beginning"] * (unit.scheme is UnitScheme.GSO_2004)
    identity = f"{unit.scheme}|{unit.code}|{unit.version}" + "".join(more)
    return {
        "event_id": uuid.uuid5(_EVENT_IDS, identity),
        "occurred_at": datetime.combine(began, time(), _ZONE),
        "recorded_at": recorded_at,
        "source_system": SOURCE,
        "source_agency": AGENCY,
        "source_epoch": 1,
        "source_version": unit.version + len(more),
        "operation": Operation.SNAPSHOT.value,
        "unit_scheme": unit.scheme.value,
        "scheme": unit.scheme.value,
        "unit_code": unit.code,
        "level": unit.level,
        "unit_type": unit.unit_type,
        "name": unit.name,
        "full_name": unit.full_name,
        "parent_code": unit.parent_code,
        "valid_from": unit.valid_from,
        "valid_to": unit.valid_to,
        "change_kind": unit.change_kind,
        "predecessors": [_link(link) for link in unit.predecessors] or None,
        "successors": [_successor(link) for link in unit.successors] or None,
        "legal_basis_number": unit.legal_basis,
        "agency_code": unit.agency_code,
        "mapping_source": MAPPING_SOURCE,
        "mapping_version": MAPPING_VERSION,
    }


def _successor(link: Link) -> dict[str, Any]:
    return {**_link(link), "is_default": link.is_default}


def _link(link: Link) -> dict[str, Any]:
    return {"scheme": link.scheme.value, "code": link.code, "share": link.share}
