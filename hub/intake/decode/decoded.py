"""The result of decoding a batch: a frame, and the records that can never be read."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from hub.model.outcomes import Reason

Path = Literal["block", "row", "mixed"]
"""How a batch was decoded: all in blocks, all record by record, or a mix."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that can never be read.

    Fields:
        row: its index in the batch.
        schema_id: the id in its header, if it has a header.
        detail: what is wrong, without data.
    """

    row: int
    reason: Reason
    schema_id: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded batch: every index of the batch is once in ``frame`` or once in ``poison``.

    ``frame`` has the column ``row`` (UInt32, ascending) and every field of the subject's latest schema; ``poison`` is
    ordered by row.
    """

    frame: pl.DataFrame
    poison: tuple[Poison, ...]
    path: Path
