"""Two rows of one thing under one version, with other content: the hub takes one and asks an officer (VERSION_REUSED).

A key of the source's own (``key = ["stt"]``) tells rows apart and not things: two rows may have one dossier code. The
rows are told by the thing's keyed key, which the records have; the source's own keys are kept only to name some rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from hub.codec.catalogue import load_catalogue
from hub.codec.content_hash import content_hash
from hub.model.entities import SUBJECTS

MOST_THINGS = 3
_MOST_ROWS = 3
_TOGETHER = 64
_THING = ["key", "part", "source_version"]


class OneVersion:
    """Keeps, of each row, its thing, version and content (some 100 bytes), and finds versions with several contents."""

    def __init__(self) -> None:
        self._frames: dict[str, list[pl.DataFrame]] = {}

    def take(self, subject: str, stream: str, keys: Sequence[bytes], frame: pl.DataFrame, own: Sequence[str]) -> None:
        """Take a page of decoded events.

        Args:
            subject: of the events.
            stream: the stream that they come from.
            keys: the keys of all records of the page; the frame's column ``row`` is a place among them.
            frame: the events.
            own: the source's own keys of the same records, each as JSON. They may be personal, and are not logged.
        """
        parts = SUBJECTS[subject][1].part
        part = pl.concat_str([pl.col(name).cast(pl.String()) for name in parts], separator="/") if parts else pl.lit("")
        told = pl.DataFrame(
            {"key": pl.Series(keys, dtype=pl.Binary()), "own": pl.Series(own, dtype=pl.String())}
        ).with_row_index("row")
        found = frame.select(
            pl.col("row").cast(pl.UInt32()),
            part.alias("part"),
            "source_version",
            content_hash(load_catalogue().latest(subject)),
        ).join(told, on="row")
        frames = self._frames.setdefault(subject, [])
        frames.append(found.drop("row").with_columns(stream=pl.lit(stream)))
        if len(frames) >= _TOGETHER:
            self._frames[subject] = [pl.concat(frames)]

    def found(self) -> dict[str, dict[str, Any]]:
        """Return, for each subject that has such things, how many, and some of them with the own keys of their rows."""
        told = {}
        for subject, frames in self._frames.items():
            rows = pl.concat(frames)
            several = rows.group_by(_THING).agg(contents=pl.col("content_hash").n_unique())
            things = several.filter(pl.col("contents") > 1)
            if things.is_empty():
                continue
            named = things.sort(_THING).head(MOST_THINGS).join(rows, on=_THING, how="left", maintain_order="left")
            groups = named.group_by(_THING, maintain_order=True)
            examples = [_rows(group.unique("content_hash", maintain_order=True)) for _, group in groups]
            told[subject] = {"count": things.select("key", "part").n_unique(), "examples": examples}
        return told


def _rows(group: pl.DataFrame) -> list[dict[str, Any]]:
    some = group.head(_MOST_ROWS)
    return [{"stream": stream, "key": json.loads(own)} for stream, own in some.select("stream", "own").iter_rows()]


def one_version_line(subject: str, count: int) -> str:
    """Say how many things have rows that the hub cannot tell apart by their version."""
    things = "1 thing has" if count == 1 else f"{count:,} things have"
    return (
        f"{subject}: {things} two or more rows of one version with other content: the hub takes one of them and asks "
        "an officer (VERSION_REUSED)"
    )


def named_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of one thing by the source's own keys."""
    return "; ".join(
        f"{row['stream']} " + ", ".join(f"{name} = {value!r}" for name, value in row["key"].items()) for row in rows
    )
