"""What a comparison found: keys and counts, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import polars as pl


class Kind(StrEnum):
    """What is wrong with a key, or only seems wrong."""

    MISSING = "missing"
    """The source has it; the warehouse does not."""
    DIFFERS = "differs"
    """Both have it, with different content."""
    LEFT_OVER = "left_over"
    """The warehouse has it and the source no longer has it: deleted, re-keyed, or excluded by ``where``."""
    HAS_OUTCOME = "has_outcome"
    """It was published, and the hub knows its outcome: refused, parked, or a dead letter."""
    ON_ITS_WAY = "on_its_way"
    """It changed during the comparison, or is on its way."""


PARKED = "published, parked"
"""How the reason of a key begins whose event is parked."""

DIFFERENCES = (Kind.MISSING, Kind.DIFFERS, Kind.LEFT_OVER)
"""Kinds that are errors and that a repair corrects."""

KEYS = pl.Schema(
    {
        "kind": pl.String(),
        "key": pl.Binary(),
        "part": pl.String(),
        "why": pl.String(),
        "epoch": pl.Int32(),
        "version": pl.Int64(),
        "content_hash": pl.Int64(),
        "revoked": pl.Boolean(),
        "there_epoch": pl.Int32(),
        "there_version": pl.Int64(),
        "stream": pl.String(),
        "place": pl.String(),
    }
)
"""Keys in which the sides differ. Order and content at the source; columns with ``there``: the order in the warehouse.

``revoked``: whether the source says that it withdrew the key; null if it says nothing.
``place``: the source's own key, only if it was asked for: it may be personal."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison of one subject.

    Fields:
        streams: the streams whose rows were read.
        source_rows: the source's records that are not revoked. claims: the warehouse's claims that are not revoked.
        repeated: how many of these records have a key that another one has, too; the first of each key not counted.
        shared: keys that have two or more records of one version with other content: the hub holds one of them.
        revoked: the warehouse's claims that are revoked.
        buckets: how many buckets differed and were looked at row by row.
        unmapped: rows of the source that cannot become events, by reason; ``unnamed`` of them have no key either.
        caught_up: whether the hub had merged its log in time; if not, all differences count as on their way.
        says_all: whether a key that no stream holds is gone.
        unknown: streams for which it is unknown here how far the connector has read.
        keys: see ``KEYS``; only ``place`` may be personal.
    """

    subject: str
    streams: Sequence[str]
    source_rows: int
    claims: int
    buckets: int
    unmapped: Mapping[str, int]
    unnamed: int
    caught_up: bool
    says_all: bool
    unknown: Sequence[str] = ()
    repeated: int = 0
    shared: int = 0
    revoked: int = 0
    keys: pl.DataFrame = field(default_factory=KEYS.to_frame, repr=False)

    @property
    def counts(self) -> dict[Kind, int]:
        """Return how many keys there are of each kind."""
        found = dict(self.keys.group_by("kind").len().iter_rows())
        return {kind: int(found.get(kind.value, 0)) for kind in Kind}

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs, except keys that are on their way or have an outcome."""
        return not any(self.counts[kind] for kind in DIFFERENCES)

    @property
    def source_keys(self) -> int:
        """Return how many keys the source's records have."""
        return self.source_rows - self.repeated

    @property
    def parked(self) -> int:
        """Return how many keys have an event that is parked: it waits, and is not decided yet."""
        return self.of_kind(Kind.HAS_OUTCOME).filter(pl.col("why").str.starts_with(PARKED)).height

    def of_kind(self, *kinds: Kind) -> pl.DataFrame:
        """Return the keys of some kinds."""
        return self.keys.filter(pl.col("kind").is_in([kind.value for kind in kinds]))

    def as_json(self, most_keys: int) -> dict[str, Any]:
        """Return counts, and the first keys of each kind by their keyed hash."""
        return {
            "subject": self.subject,
            "streams": list(self.streams),
            "equal": self.is_equal,
            "source_rows": self.source_rows,
            "keys_at_source": self.source_keys,
            "two_of_one_version": self.shared,
            "claims": self.claims,
            "claims_revoked": self.revoked,
            "parked": self.parked,
            "differing_buckets": self.buckets,
            "unmapped": dict(self.unmapped),
            "caught_up": self.caught_up,
            "says_all": self.says_all,
            "unknown": list(self.unknown),
            **{kind.value: count for kind, count in self.counts.items()},
            "keys": [key_as_json(row) for kind in Kind for row in self.of_kind(kind).head(most_keys).to_dicts()],
        }


def key_as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one key as commands print it."""
    told = {"kind": row["kind"], "key": str(UUID(bytes=row["key"])), "part": row["part"], "why": row["why"]}
    return told if row["place"] is None else told | {"stream": row["stream"], "source_key": row["place"]}
