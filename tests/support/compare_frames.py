"""A comparison made of its findings alone."""

import polars as pl

from hub.operate.compare.found import Compared


def compared(keys: pl.DataFrame, claims: int, unnamed: int = 0) -> Compared:
    """Return the comparison that found these keys."""
    return Compared("dossier.progressed", ["s"], 0, claims, 1, {}, unnamed, caught_up=True, says_all=True, keys=keys)
