"""How a replay treats each table: state is derived from events and swapped; evidence and registers stay.

The declaration is complete: a table that is in no list has no kind, and a test refuses it.
"""

from enum import Enum
from functools import cache
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.sql.selectable import NamedFromClause

from hub.warehouse.tables import dossiers as dossier_tables
from hub.warehouse.tables import evidence as evidence_tables
from hub.warehouse.tables import ledger as ledger_tables
from hub.warehouse.tables import letters as letter_tables
from hub.warehouse.tables import people as person_tables
from hub.warehouse.tables import processes as process_tables
from hub.warehouse.tables import replays as replay_tables
from hub.warehouse.tables import share as share_tables
from hub.warehouse.tables import units as unit_tables
from hub.warehouse.tables.core import metadata
from hub.warehouse.tables.entities import all_aspect_tables

_LOADED = (
    dossier_tables,
    evidence_tables,
    ledger_tables,
    letter_tables,
    person_tables,
    process_tables,
    replay_tables,
    share_tables,
    unit_tables,
)
"""Modules whose tables must be in the metadata."""


class TableKind(Enum):
    """What happens to a table when a replay goes live.

    STATE follows from the events that were read: the shadow has its own table, and the two are swapped. EVIDENCE
    records what happened here, or where the hub is in the log: it stays, whatever is replayed. REGISTER comes from
    elsewhere (policy, calendar): the shadow works with a copy, and the live table stays.
    """

    STATE = "state"
    EVIDENCE = "evidence"
    REGISTER = "register"


_STATE = frozenset(
    {
        "parked",
        "identity_link",
        "same_key",
        "conflict",
        "review",
        "unit_now",
        "agency_now",
        "deceased",
        "flag",
        "dossier_deadline",
    }
)
_REGISTER = frozenset({"source", "authority", "policy", "calendar", "calendar_day"})
_EVIDENCE = frozenset(
    {
        "log_partition",
        "share_position",
        "set_aside",
        "blocked_topic",
        "missed_span",
        "share_topic",
        "republication",
        "batch",
        "audit",
        "release",
        "late_flag",
        "dead_letter",
        "touched",
        "action",
        "alert",
        "recode",
        "replay",
        "replay_position",
        "replay_withdrawn",
        "replay_left",
        "ledger_range",
        "offset_plan",
        "letter",
        "letter_edit",
        "redrive",
        "discarded",
        "operator",
        "partition_stop",
        "worker_bug",
        "seal",
        "head",
        "head_published",
        "signing_key",
        "retired",
        "audit_found",
        "process",
    }
)
"""Why some tables are evidence. ``release``: the result of a replay for waiting records is in ``replay_left``.
``touched`` and ``share_position``: they are share's own position in the audit log, which a replay does not move; what
the replay publishes is noted as new touched keys. ``recode``: it records operators' jobs, which no event repeats.
"""


def kind_of(table: Table) -> TableKind | None:
    """Return a table's kind; None for a table that is missing here."""
    if "aspect" in table.info or table.name in _STATE:
        return TableKind.STATE
    if table.name in _REGISTER:
        return TableKind.REGISTER
    return TableKind.EVIDENCE if table.name in _EVIDENCE else None


def lasting_tables() -> tuple[Table, ...]:
    """Return every table of a warehouse except the temporary ones, by name."""
    all_aspect_tables()
    tables = (table for table in metadata.tables.values() if not table.info.get("temporary"))
    return tuple(sorted(tables, key=lambda table: table.name))


def tables_of(kind: TableKind) -> tuple[Table, ...]:
    """Return the tables of a kind, by name."""
    return tuple(table for table in lasting_tables() if kind_of(table) is kind)


@cache
def in_schema(table: Table, schema: str) -> Table:
    """Return the same table qualified with a schema, for a statement that works on two schemas."""
    return table.to_metadata(MetaData(), schema=schema)


@cache
def of_shadow(table: Table, schema: str) -> NamedFromClause[Any]:
    """Return a shadow's table for reading, next to the live table of the same name, which has no schema."""
    return in_schema(table, schema).alias(f"shadow_{table.name}")
