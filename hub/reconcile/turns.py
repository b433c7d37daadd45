"""Order the rows of one batch among themselves, before they meet what is stored.

The audit log must say of each row what it would say had the rows come one by one (docs/invariants.md, I3): so each
row gets its turn against the earlier rows of the same (identity, source), and the newest of each is marked: the only
one that is merged.
"""

import polars as pl

from hub.warehouse.batch import TURN_DUPLICATE, TURN_NEWER, TURN_REUSED, TURN_STALE

TURN_COLUMNS = ("turn", "turn_hash", "newest")
"""What ``with_turns`` adds."""


def with_turns(frame: pl.DataFrame, identity: tuple[str, ...]) -> pl.DataFrame:
    """Add ``turn`` (Int16), ``newest`` (Boolean) and ``turn_hash`` (Int64).

    ``turn_hash`` is the content hash of the row that used the version first, for a row that reuses it.

    Args:
        frame: rows in log order; needs the identity columns, ``source``, ``source_epoch``, ``source_version``,
            ``content_hash``.
        identity: key and parts of the aspect.

    Returns:
        The frame with the same rows in the same order.
    """
    group = [*identity, "source"]
    repeated = pl.struct(group).is_duplicated()
    if not frame.select(repeated.any()).item():
        return frame.with_columns(
            turn=pl.lit(TURN_NEWER, pl.Int16), newest=pl.lit(True), turn_hash=pl.lit(None, pl.Int64)
        )
    marked = frame.with_row_index("_row").with_columns(_repeated=repeated)
    turns = _turns_of(marked.filter("_repeated").select("_row", *group, *_ORDER, "content_hash"), group)
    return (
        marked.join(turns, on="_row", how="left", maintain_order="left")
        .with_columns(pl.col("turn").fill_null(TURN_NEWER), pl.col("newest").fill_null(True))
        .drop("_row", "_repeated")
    )


_ORDER = ("source_epoch", "source_version")


def _turns_of(rows: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    """Return (_row, turn, turn_hash, newest) for rows whose (identity, source) occurs more than once."""
    by_age = rows.sort([*group, *_ORDER, "_row"])
    changed = pl.struct([*group, *_ORDER]) != pl.struct([*group, *_ORDER]).shift(1)
    ranked = by_age.with_columns(_rank=changed.fill_null(True).cum_sum()).sort("_row")
    before = pl.col("_rank").cum_max().shift(1).over(group)
    first_content = pl.col("content_hash").first().over("_rank")
    turn = (
        pl.when(before.is_null() | (pl.col("_rank") > before))
        .then(TURN_NEWER)
        .when(pl.col("_rank") < before)
        .then(TURN_STALE)
        .when(pl.col("content_hash") == first_content)
        .then(TURN_DUPLICATE)
        .otherwise(TURN_REUSED)
        .cast(pl.Int16)
    )
    return ranked.with_columns(turn=turn).select(
        "_row",
        "turn",
        turn_hash=pl.when(pl.col("turn") == TURN_REUSED).then(first_content),
        newest=(pl.col("turn") == TURN_NEWER) & (pl.col("_rank") == pl.col("_rank").max().over(group)),
    )
