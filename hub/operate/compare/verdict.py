"""What is wrong with the keys in which two sides differ: pure functions on frames.

They take the source's rows, the claims read before and after these rows, and what is known of events on their way.
"""

from dataclasses import dataclass, field

import polars as pl

from hub.operate.compare.found import KEYS, Kind
from hub.operate.compare.judge import CLAIMS, JUDGED

ROWS = pl.Schema({**JUDGED, "stream": pl.String(), "place": pl.String()})
"""The source's rows, as ``JUDGED``, with their stream and, if it was asked for, the source's own key."""

WAITING = pl.Schema({"key": pl.Binary(), "content_hash": pl.Int64(), "outcome": pl.String()})
"""Events that are parked or dead letters: key, content, and in words what became of them."""

IDENTITY = ["key", "part"]
_NOT_READ = "the connector has not read it yet, or it changed during the comparison"
_NOT_MERGED = "the hub has not merged everything that was sent to it"
_CAME_AGAIN = "it was published during the comparison"
_GONE = "the source no longer has it: deleted, re-keyed, or excluded by `where`"
_ABSENT = "the hub has no claim of it"
_TAKEN_BACK = "the hub's claim was withdrawn"
_REVOKED_HERE = "the source has withdrawn it"
_REUSED = "the hub has different content under the same version"
_OLDER_HERE = "the hub has a newer version"
_OTHER = "the hub has an older version"


@dataclass(slots=True)
class Sides:
    """What was read of the keys in buckets that differ.

    Fields:
        rows: the source's (``ROWS``). before, after: claims, read before and after the rows (``CLAIMS``).
        waiting: events that are parked or dead letters (``WAITING``).
        unread: key and part of rows that may have been written since the reading began.
        blocked: keys of rows that cannot become events: they are not gone. unnamed: rows without a known key.
    """

    rows: pl.DataFrame = field(default_factory=ROWS.to_frame)
    before: pl.DataFrame = field(default_factory=CLAIMS.to_frame)
    after: pl.DataFrame = field(default_factory=CLAIMS.to_frame)
    waiting: pl.DataFrame = field(default_factory=WAITING.to_frame)
    unread: pl.DataFrame = field(default_factory=lambda: keys_of(JUDGED.to_frame()))
    blocked: set[bytes] = field(default_factory=set)
    unnamed: int = 0


def keys_of(judged: pl.DataFrame) -> pl.DataFrame:
    """Return key and part of rows."""
    return judged.select(IDENTITY)


def candidates(sides: Sides) -> pl.DataFrame:
    """Return the keys that differ from the earlier claims: ``ROWS`` with ``is_gone``, ``before_epoch, _version``.

    If a key has several rows, the newest counts; of equally new ones, one that the warehouse has.
    """
    there = _named(sides.before, "before")
    rows = sides.rows.join(there, on=IDENTITY, how="left", nulls_equal=False).with_columns(same=_is_same("before"))
    newest = (
        rows.sort([*IDENTITY, "epoch", "version", "same"], descending=[False, False, True, True, True])
        .unique(IDENTITY, keep="first", maintain_order=True)
        .filter(~pl.col("same"))
        .with_columns(is_gone=pl.lit(value=False))
        .select(*ROWS, "is_gone", "before_epoch", "before_version")
    )
    standing = there.filter(~pl.col("before_revoked"))
    unreadable = sides.rows.filter(pl.col("content_hash").is_null()).get_column("key").to_list()
    blocked = pl.Series("key", [*sides.blocked, *unreadable], dtype=pl.Binary())
    gone = standing.join(sides.rows, on=IDENTITY, how="anti").filter(~pl.col("key").is_in(blocked.implode()))
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in ROWS.items() if name not in IDENTITY]
    gone = gone.with_columns(*absent, is_gone=pl.lit(value=True)).select(newest.columns)
    return pl.concat([newest, gone])


def repeated(rows: pl.DataFrame) -> tuple[int, int]:
    """Return how many rows repeat a key of another, and how many keys have rows of one version with other content.

    A key with two rows has another count of rows than of claims, so its bucket is always among those looked at.
    """
    standing = rows.filter(~pl.col("revoked") & pl.col("refused").is_null())
    more = standing.height - standing.n_unique(IDENTITY)
    contents = pl.struct("content_hash", "revoked").n_unique()
    same_version = rows.drop_nulls("content_hash").group_by(*IDENTITY, "epoch", "version").agg(contents=contents)
    return more, same_version.filter(pl.col("contents") > 1).n_unique(IDENTITY)


def verdict(doubtful: pl.DataFrame, sides: Sides, caught_up: bool, says_all: bool) -> pl.DataFrame:
    """Return what is wrong with each key of ``candidates`` (``KEYS``); keys that are equal by now are left out.

    Args:
        doubtful: see ``candidates``.
        sides: with the later claims, the waiting events and the unread rows.
        caught_up: whether the later claims contain everything that was sent.
        says_all: whether a key that the source does not hold is gone.
    """
    unread = keys_of(sides.unread).unique().with_columns(is_unread=pl.lit(value=True))
    rows = (
        doubtful.join(_named(sides.after, "there"), on=IDENTITY, how="left")
        .join(sides.waiting.unique(["key", "content_hash"]), on=["key", "content_hash"], how="left")
        .join(unread, on=IDENTITY, how="left")
        .with_columns(pl.col("is_unread").fill_null(value=False), same=_is_same("there"))
    )
    here = rows.filter(~pl.col("is_gone") & ~pl.col("same"))
    gone = rows.filter(pl.col("is_gone") & pl.col("there_revoked").eq_missing(pl.lit(value=False)))
    told = [_told(here, _of_rows(caught_up))]
    if says_all:
        told.append(_told(gone, _of_gone(caught_up)))
    return pl.concat(told)


def _named(claims: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return claims.rename({name: f"{prefix}_{name}" for name in claims.columns if name not in IDENTITY})


def _is_same(prefix: str) -> pl.Expr:
    """Whether a row and a claim say the same; a withdrawn claim counts as none."""
    absent = pl.col(f"{prefix}_revoked").fill_null(value=True)
    equal = ~absent & (pl.col("content_hash") == pl.col(f"{prefix}_content_hash"))
    return pl.when(pl.col("revoked").fill_null(value=False)).then(absent).otherwise(equal).fill_null(value=False)


def _of_rows(caught_up: bool) -> list[tuple[pl.Expr, Kind, pl.Expr]]:
    order = pl.struct(pl.col("epoch").alias("e"), pl.col("version").alias("v"))
    there = pl.struct(pl.col("there_epoch").alias("e"), pl.col("there_version").alias("v"))
    older = (pl.col("epoch") < pl.col("there_epoch")) | (
        (pl.col("epoch") == pl.col("there_epoch")) & (pl.col("version") < pl.col("there_version"))
    )
    why = (
        pl.when(pl.col("revoked"))
        .then(pl.lit(_REVOKED_HERE))
        .when(order == there)
        .then(pl.lit(_REUSED))
        .when(older)
        .then(pl.lit(_OLDER_HERE))
        .otherwise(pl.lit(_OTHER))
    )
    return [
        (pl.col("refused").is_not_null(), Kind.HAS_OUTCOME, pl.concat_str([pl.lit("published, "), pl.col("refused")])),
        (pl.col("outcome").is_not_null(), Kind.HAS_OUTCOME, pl.concat_str([pl.lit("published, "), pl.col("outcome")])),
        (pl.lit(not caught_up), Kind.ON_ITS_WAY, pl.lit(_NOT_MERGED)),
        (pl.col("is_unread"), Kind.ON_ITS_WAY, pl.lit(_NOT_READ)),
        (pl.col("there_version").is_null(), Kind.MISSING, pl.lit(_ABSENT)),
        (pl.col("there_revoked") & ~pl.col("revoked"), Kind.MISSING, pl.lit(_TAKEN_BACK)),
        (pl.lit(value=True), Kind.DIFFERS, why),
    ]


def _of_gone(caught_up: bool) -> list[tuple[pl.Expr, Kind, pl.Expr]]:
    is_as_before = (pl.col("there_epoch") == pl.col("before_epoch")) & (
        pl.col("there_version") == pl.col("before_version")
    )
    return [
        (pl.lit(not caught_up), Kind.ON_ITS_WAY, pl.lit(_NOT_MERGED)),
        (~is_as_before, Kind.ON_ITS_WAY, pl.lit(_CAME_AGAIN)),
        (pl.lit(value=True), Kind.LEFT_OVER, pl.lit(_GONE)),
    ]


def _told(rows: pl.DataFrame, rules: list[tuple[pl.Expr, Kind, pl.Expr]]) -> pl.DataFrame:
    """Return rows as ``KEYS``; the first rule that applies gives kind and reason."""
    kind = pl.coalesce([pl.when(applies).then(pl.lit(found.value)) for applies, found, _ in rules])
    why = pl.coalesce([pl.when(applies).then(text) for applies, _, text in rules])
    return rows.with_columns(kind=kind, why=why).select([pl.col(name).cast(dtype) for name, dtype in KEYS.items()])
