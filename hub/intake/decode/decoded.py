"""What decoding a batch gives: a frame, and the records that can never be read."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from hub.model.outcomes import Reason

Path = Literal["block", "row", "mixed"]
"""How a batch was decoded: all of it in blocks, all of it record by record, or some of each."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that can never be read.

    ``row`` is its index in the batch, ``schema_id`` what its header said where it has one, ``detail`` what is wrong,
    without data.
    """

    row: int
    reason: Reason
    schema_id: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded batch: every index of the batch is in ``frame`` once or in ``poison`` once.

    ``frame`` has the column ``row`` (UInt32, ascending) and every field of the subject's latest schema; ``poison`` is
    ordered by row.
    """

    frame: pl.DataFrame
    poison: tuple[Poison, ...]
    path: Path
