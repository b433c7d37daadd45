"""Order the rows of one batch among themselves, before they are compared with what is stored.

The audit log must give each row the outcome that it would have if the rows came one by one (docs/invariants.md, I3). So
each row is compared with the earlier rows of the same (identity, source), and the newest of each is marked: only that
one is merged.
"""

import polars as pl

from hub.warehouse.batch import ORDER_DUPLICATE, ORDER_NEWER, ORDER_REUSED, ORDER_STALE

ORDER_COLUMNS = ("turn", "turn_hash", "newest")
"""The columns that ``with_event_order`` adds."""


def with_event_order(frame: pl.DataFrame, identity: tuple[str, ...]) -> pl.DataFrame:
    """Add ``turn`` (Int16), ``newest`` (Boolean) and ``turn_hash`` (Int64).

    For a row that reuses a version, ``turn_hash`` is the content hash of the row that used the version first.

    Args:
        frame: rows in log order; needs the identity columns, ``source``, ``source_epoch``, ``source_version``,
            ``content_hash``.
        identity: key and parts of the aspect.

    Returns:
        The frame with the same rows in the same order.
    """
    group = [*identity, "source"]
    repeated = frame[group].is_duplicated()
    if not repeated.any():
        return frame.with_columns(
            turn=pl.lit(ORDER_NEWER, pl.Int16), newest=pl.lit(True), turn_hash=pl.lit(None, pl.Int64)
        )
    places = repeated.arg_true()
    turns = _turns_of(frame.select(*group, *_ORDER, "content_hash")[places], group)
    turn = pl.repeat(ORDER_NEWER, frame.height, dtype=pl.Int16, eager=True).scatter(places, turns["turn"])
    newest = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True).scatter(places, turns["newest"])
    turn_hash = pl.repeat(None, frame.height, dtype=pl.Int64, eager=True).scatter(places, turns["turn_hash"])
    return frame.with_columns(turn.alias("turn"), turn_hash.alias("turn_hash"), newest.alias("newest"))


_ORDER = ("source_epoch", "source_version")


def _turns_of(rows: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    """Return (turn, turn_hash, newest) of rows in log order whose (identity, source) occurs more than once.

    First, the versions are numbered by age, with one sequence over all identities. So numbers rise from one identity to
    the next, and an identity's first row never compares lower than rows of other identities before it. This works on
    columns, because the rows are few (docs/performance.md).
    """
    by_age = rows.with_row_index("_row").sort(*group, *_ORDER, "_row")
    is_first = by_age.select(_changes(*group)).to_series()
    is_new = by_age.select(_changes(*group, *_ORDER)).to_series()
    identity, rank = is_first.cum_sum(), is_new.cum_sum()
    first_content = by_age["content_hash"].filter(is_new)[rank - 1]
    last_rank = rank.filter(is_first.shift(-1, fill_value=True))[identity - 1]

    in_turn = (identity.cast(pl.Int64) * rows.height + by_age["_row"]).arg_sort()
    columns = {
        "_row": by_age["_row"],
        "_rank": rank,
        "_last": last_rank,
        "_content": by_age["content_hash"],
        "_first_content": first_content,
    }
    told = pl.DataFrame([column[in_turn].alias(name) for name, column in columns.items()])
    turn = told.select(_TURN.alias("turn")).to_series()
    turn_hash = first_content[in_turn].zip_with(turn == ORDER_REUSED, pl.Series([None], dtype=pl.Int64))
    newest = (turn == ORDER_NEWER) & (told["_rank"] == told["_last"])
    in_order = told["_row"].arg_sort()
    return pl.DataFrame([turn[in_order], turn_hash[in_order].alias("turn_hash"), newest[in_order].alias("newest")])


def _changes(*names: str) -> pl.Expr:
    """Whether a row differs from the one before in any of some columns."""
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in names)


_BEFORE = pl.col("_rank").cum_max().shift(1, fill_value=0)
_TURN = (
    pl.when(pl.col("_rank") > _BEFORE)
    .then(ORDER_NEWER)
    .when(pl.col("_rank") < _BEFORE)
    .then(ORDER_STALE)
    .when(pl.col("_content") == pl.col("_first_content"))
    .then(ORDER_DUPLICATE)
    .otherwise(ORDER_REUSED)
    .cast(pl.Int16)
)
