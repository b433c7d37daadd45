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
    repeated = frame.select(_repeated=pl.struct(group).is_duplicated()).to_series()
    if not repeated.any():
        return frame.with_columns(
            turn=pl.lit(TURN_NEWER, pl.Int16), newest=pl.lit(True), turn_hash=pl.lit(None, pl.Int64)
        )
    places = repeated.arg_true()
    turns = _turns_of(frame.select(*group, *_ORDER, "content_hash")[places], group)
    turn = pl.repeat(TURN_NEWER, frame.height, dtype=pl.Int16, eager=True).scatter(places, turns["turn"])
    newest = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True).scatter(places, turns["newest"])
    turn_hash = pl.repeat(None, frame.height, dtype=pl.Int64, eager=True).scatter(places, turns["turn_hash"])
    return frame.with_columns(turn.alias("turn"), turn_hash.alias("turn_hash"), newest.alias("newest"))


_ORDER = ("source_epoch", "source_version")


def _turns_of(rows: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    """Return (turn, turn_hash, newest) of rows in log order whose (identity, source) occurs more than once.

    Identities are numbered first, so that all further comparisons are of integers.
    """
    numbered = rows.with_row_index("_row").with_columns(_of=pl.col("_row").first().over(group))
    by_age = numbered.sort("_of", *_ORDER, "_row")
    changed = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in ("_of", *_ORDER))
    ranked = by_age.with_columns(_rank=changed.cum_sum()).with_columns(
        _first_content=pl.col("content_hash").first().over("_rank")
    )
    in_turn = ranked.sort("_of", "_row")
    # Ranks rise from one identity to the next: what an identity's first row sees before it is always less.
    before = pl.col("_rank").cum_max().shift(1).fill_null(0)
    is_first = pl.col("_of") != pl.col("_of").shift(1)
    turn = (
        pl.when(is_first.fill_null(True) | (pl.col("_rank") > before))
        .then(TURN_NEWER)
        .when(pl.col("_rank") < before)
        .then(TURN_STALE)
        .when(pl.col("content_hash") == pl.col("_first_content"))
        .then(TURN_DUPLICATE)
        .otherwise(TURN_REUSED)
        .cast(pl.Int16)
    )
    told = in_turn.with_columns(turn=turn, _last=pl.col("_rank").max().over("_of"))
    return told.sort("_row").select(
        "turn",
        turn_hash=pl.when(pl.col("turn") == TURN_REUSED).then("_first_content"),
        newest=(pl.col("turn") == TURN_NEWER) & (pl.col("_rank") == pl.col("_last")),
    )
