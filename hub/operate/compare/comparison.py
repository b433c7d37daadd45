"""Compare one subject: digests by bucket, then the rows of the buckets that differ, then which of them still change.

The order of the steps makes the answer right:

1. Read the digests of both sides. Buckets with equal digests need no further look.
2. Note the connector's position (``begin``) and read the claims of the buckets that differ, before the source's rows.
If a
   claim existed before its row is looked for, and the row does not exist, then the claim is left over; a row without a
   claim may just be new.
3. Read the source's rows of these buckets.
4. Wait until the hub has merged what its log holds now: it contains all that the connector had read at (2).
5. Read again the claims of the keys that differ. What still differs, and was not written in the source since (2),
differs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from hub.model.compared import SourceRows, SourceStreams
from hub.operate.compare.buckets import Digests, differing
from hub.operate.compare.caught_up import Tell, Waiting
from hub.operate.compare.claims import ClaimsOf
from hub.operate.compare.found import Compared
from hub.operate.compare.judge import JUDGED, Judge
from hub.operate.compare.verdict import Sides, candidates, keys_of, repeated, verdict

_IDENTITY = ["key", "part"]


@dataclass(frozen=True, slots=True)
class Comparing:
    """What a comparison needs.

    Fields:
        streams: the source's side.
        claims: the warehouse's side.
        judge: finds what the hub would make of the source's records.
        catch_up: how to wait for the hub.
        tell: receives the progress.
        places: keep the source's own keys of rows that are looked at one by one.
    """

    streams: SourceStreams
    claims: ClaimsOf
    judge: Judge
    catch_up: Waiting
    tell: Tell = field(default=lambda what, done, total: None)
    places: bool = False

    def compare(self) -> Compared:
        """Compare; takes as long as reading the source, twice as long if anything differs.

        Raises:
            RetryableError, UnreachableError: the source, the warehouse or the broker is unreachable.
        """
        here = Digests()
        there, revoked = self.claims.digests()
        unmapped: Counter[str] = Counter()
        for page in self.streams.rows():
            here.add(self.judge.judge(page.records))
            unmapped.update(row.reason for row in page.unmapped)
            self.tell("rows of the source", here.rows, None)
        claims = (int(there["count"].sum()), revoked)
        buckets = sorted(here.refused.union(differing(here.frame(), there)))
        if not buckets:
            return self._compared(here.rows, claims, 0, unmapped, Sides(), caught_up=True)
        self.streams.begin()
        before = self.claims.in_buckets(buckets)
        sides = self.rows_of(buckets)
        sides.before = before
        caught_up = self.catch_up.wait(self.claims, self.tell)
        return self._compared(here.rows, claims, len(buckets), unmapped, sides, caught_up)

    def rows_of(self, buckets: Sequence[int]) -> Sides:
        """Read the source's rows of some buckets."""
        sides, frames, done = Sides(), [], 0
        for page in self.streams.rows():
            frames.append(self._page(page, set(buckets)))
            done += len(page.records)
            sides.blocked |= {row.key for row in page.unmapped if row.key is not None}
            sides.unnamed += sum(row.key is None for row in page.unmapped)
            self.tell("rows of the source, again", done, None)
        sides.rows = pl.concat([sides.rows, *frames])
        return sides

    def _page(self, page: SourceRows, buckets: set[int]) -> pl.DataFrame:
        wanted = [number for number, (key, _) in enumerate(page.records) if int.from_bytes(key[:2], "big") in buckets]
        judged = self.judge.judge([page.records[number] for number in wanted])
        places = [page.place(number) for number in wanted] if self.places else None
        return judged.with_columns(
            stream=pl.lit(page.stream),
            place=pl.Series(places, dtype=pl.String()) if places else pl.lit(None, pl.String()),
        )

    def _compared(
        self, rows: int, claims: tuple[int, int], buckets: int, unmapped: Counter[str], sides: Sides, caught_up: bool
    ) -> Compared:
        """Return the result; ``claims``: how many are not revoked, and how many are."""
        doubtful = candidates(sides)
        asked = doubtful.get_column("key").unique()
        sides.after = self.claims.of_keys(asked)
        if not doubtful.is_empty():
            sides.waiting = self._waiting(asked)
            sides.unread = self._unread()
        found = verdict(doubtful, sides, caught_up, self.streams.says_all)
        return Compared(
            self.streams.subject,
            self.streams.names,
            rows,
            claims[0],
            buckets,
            dict(unmapped),
            sides.unnamed,
            caught_up,
            self.streams.says_all,
            self.streams.unknown() if buckets else (),
            *repeated(sides.rows),
            claims[1],
            found,
        )

    def _waiting(self, keys: pl.Series) -> pl.DataFrame:
        """Return what became of events that are parked or dead letters, by key and content (``WAITING``)."""
        found = self.claims.waiting(keys)
        judged = self.judge.judge([(key, value) for _, key, value in found])
        outcomes = pl.Series([outcome for outcome, _, _ in found], dtype=pl.String())
        return judged.select("key", "content_hash", outcome=outcomes).drop_nulls()

    def _unread(self) -> pl.DataFrame:
        """Return the keys of rows that may have been written since ``begin``."""
        pages = self.streams.unread()
        return pl.concat([keys_of(JUDGED.to_frame()), *(keys_of(self.judge.judge(page.records)) for page in pages)])
