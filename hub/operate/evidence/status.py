"""The state of the evidence: what is sealed, signed and published, by which key, and what is due."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from hub.model.alerts import EVIDENCE_BROKEN, EVIDENCE_NOT_WRITTEN
from hub.operate.evidence.heads import oldest_unproven
from hub.warehouse.alerts import read_alerts
from hub.warehouse.evidence.months import missing_months, months_there
from hub.warehouse.setup.roles import DECIDED, WORKER
from hub.warehouse.tables.evidence import APPEND_ONLY, BY_MONTH, head, head_published, seal, signing_key


@dataclass(frozen=True, slots=True)
class EvidenceStatus:
    """What ``hub audit status`` shows.

    Fields:
        seals: rows of ``seal``, counted by its last id.
        unproven_since: when the oldest row was recorded that no published head covers; None: all are covered.
        months: partitions that exist; ``months_missing``: those that will be needed.
        changeable: append-only tables that the worker's role may change, although it should not.
        alerts: texts of the open alerts about evidence.
    """

    seals: int
    head: int | None
    signed_at: datetime | None
    key_id: str | None
    published: int | None
    unproven_since: datetime | None
    now: datetime
    months: tuple[str, ...]
    months_missing: tuple[str, ...]
    changeable: tuple[str, ...]
    alerts: tuple[str, ...]

    def problems(self, limit_s: float) -> list[str]:
        """Say what is wrong; empty if nothing is."""
        found = list(self.alerts)
        if self.unproven_since is not None and (self.now - self.unproven_since).total_seconds() > limit_s:
            found.append(f"rows since {self.unproven_since:%Y-%m-%d %H:%M:%S} UTC are in no published head")
        if self.months_missing:
            found.append(f"partitions are missing: {', '.join(self.months_missing)}; run hub db migrate")
        if self.changeable:
            found.append(f"{WORKER} may change {', '.join(self.changeable)}; run hub db migrate")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the status as ``--json`` prints it."""
        return {
            "seals": self.seals,
            "head": self.head,
            "signed_at": self.signed_at and self.signed_at.isoformat(),
            "key_id": self.key_id,
            "published_head": self.published,
            "unproven_since": self.unproven_since and self.unproven_since.isoformat(),
            "months": list(self.months),
            "months_missing": list(self.months_missing),
            "changeable": list(self.changeable),
            "alerts": list(self.alerts),
        }


def evidence_status(connection: Connection) -> EvidenceStatus:
    """Return the state of the evidence."""
    last = connection.execute(select(head).order_by(head.c.number.desc()).limit(1)).one_or_none()
    return EvidenceStatus(
        int(connection.execute(select(func.coalesce(func.max(seal.c.id), 0))).scalar_one()),
        None if last is None else last.number,
        None if last is None else last.signed_at,
        None if last is None else last.key_id,
        connection.execute(select(func.max(head_published.c.number))).scalar_one(),
        oldest_unproven(connection),
        connection.execute(select(func.now())).scalar_one(),
        tuple(month.name for relation in BY_MONTH for month in months_there(connection, relation)),
        tuple(missing_months(connection)),
        tuple(_changeable(connection)),
        tuple(f"{one.name}: {one.detail}" for one in read_alerts(connection) if one.name in _ALERTS),
    )


_ALERTS = {EVIDENCE_NOT_WRITTEN.name, EVIDENCE_BROKEN.name}


def _changeable(connection: Connection) -> list[str]:
    may = text(
        "SELECT name FROM unnest(CAST(:names AS text[])) name "
        "WHERE has_table_privilege(CAST(:role AS text), to_regclass(name), :rights)"
    )
    found = []
    for names, rights in ((APPEND_ONLY, "UPDATE, DELETE, TRUNCATE"), (DECIDED, "INSERT, UPDATE, DELETE, TRUNCATE")):
        asked = {"names": list(names), "role": WORKER, "rights": rights}
        found += list(connection.execute(may, asked).scalars())
    return found


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that signed heads, and which heads."""

    key_id: str
    public_key: str
    first_used_at: datetime
    first_head: int
    last_head: int


def known_keys(connection: Connection) -> list[KnownKey]:
    """Return the keys that signed heads, in the order of their first use."""
    rows = connection.execute(
        select(
            signing_key.c.id,
            func.encode(signing_key.c.public_key, "hex"),
            signing_key.c.first_used_at,
            func.min(head.c.number),
            func.max(head.c.number),
        )
        .join_from(signing_key, head, head.c.key_id == signing_key.c.id)
        .group_by(signing_key.c.id)
        .order_by(func.min(head.c.number))
    )
    return [KnownKey(*row) for row in rows]
