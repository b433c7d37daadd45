"""How a page's rows are mapped, and what they became."""

from dataclasses import dataclass, field
from datetime import datetime

from connectors.base.port import Record, Reject
from connectors.conversion.columns import ColumnEncoder
from connectors.conversion.mapping import RowMapper


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a page's rows are mapped.

    ``changed``: the place of a row's time, if polls read rows again that were already sent.
    """

    mapper: RowMapper
    columns: ColumnEncoder
    changed: int | None
    now: datetime


@dataclass(slots=True)
class Mapped:
    """What a page's rows became."""

    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    dropped: list[Reject] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
