"""A decoding child process whose libraries hang or die on certain data, as no library may and each can.

A value that holds ``HANG`` stops the decoder for good wherever it is touched, ``CRASH`` kills it; ``ONCE`` kills it
in a block only; ``SWELL`` fills the memory when its frame is made.
"""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import polars as pl

from hub.intake.decode import batch as decode_batch
from hub.intake.decode.block_path import BlockReader, Doubt
from hub.intake.decode.child import main
from hub.intake.decode.row_path import DatumReader


def _meet(value: bytes) -> None:
    if b"HANG" in value:
        time.sleep(3600)
    if b"CRASH" in value:
        os.abort()


class FaultyBlockReader(BlockReader):
    """Reads blocks, unless it meets a value that it does not survive."""

    def read(self, values: Sequence[bytes]) -> pl.DataFrame | Doubt:
        """See ``BlockReader.read``."""
        for value in values:
            _meet(value)
            if b"ONCE" in value:
                os.abort()
        return super().read(values)


class FaultyDatumReader(DatumReader):
    """Reads data, unless it meets a value that it does not survive."""

    def read(self, value: bytes, start: int) -> tuple[list[Any], int]:
        """See ``DatumReader.read``."""
        _meet(value)
        return super().read(value, start)


class FaultyVersionReader(decode_batch.VersionReader):
    """Makes frames, unless there are several records and one of them swells."""

    def frame(self, rows: Sequence[int], records: Sequence[list[object]]) -> pl.DataFrame:
        """See ``VersionReader.frame``."""
        if len(rows) > 1 and any("SWELL" in str(record) for record in records):
            os.abort()
        return super().frame(rows, records)


if __name__ == "__main__":
    for reader in (FaultyBlockReader, FaultyDatumReader, FaultyVersionReader):
        setattr(decode_batch, reader.__name__.removeprefix("Faulty"), reader)
    main(sys.argv[1:])
