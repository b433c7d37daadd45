"""Repair what a comparison found: publish what is missing or differs, withdraw what the source no longer has.

Every repair is an event of the source, merged like any other; nothing is written into the warehouse directly. The plan
is the
comparison itself. So after an interrupted repair, compare again: what had arrived is equal by then.

A row is published under its own version if that is above the warehouse's, else under the next one above it: the hub
would silently ignore a version that is not newer. A key that is gone is looked for once more before it is withdrawn.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import polars as pl

from hub.codec.encode import Encoder
from hub.model.compared import Record, SourceRows
from hub.model.envelope import Operation
from hub.model.errors import ConfigError
from hub.operate.actions import Action, By, note
from hub.operate.compare.comparison import Comparing
from hub.operate.compare.found import Compared, Kind
from hub.topology import event_topic
from hub.warehouse.database import translated_errors

REPAIR, REPAIRED = "connect.compare.repair", "connect.compare.repaired"
ALLOWED_SHARE = 20
"""One in this many keys that the hub holds of a source may be gone without an operator's consent."""
ALLOWED_FEW = 3
"""This many may be gone in any case, unless they are all of them."""
ROUND = 5_000
_IDENTITY = ["key", "part"]


class Publisher(Protocol):
    """Takes records to the broker and returns when it has confirmed every one."""

    def publish(self, topic: str, records: Sequence[Record]) -> None:
        """Publish; raises RetryableError if not all were confirmed."""


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair would do for one subject.

    Fields:
        publish: keys to publish (``KEYS``); ``raise_to``: the version that one needs, null for its row's own.
        revoke: keys to withdraw. unable: number of keys for which no version of this source would win.
        refusal: why nothing may be withdrawn; empty if it may.
    """

    subject: str
    publish: pl.DataFrame
    revoke: pl.DataFrame
    unable: int
    refusal: str = ""

    @property
    def raised(self) -> int:
        """Return how many rows are published under a version that is not their own."""
        return self.publish.height - self.publish.get_column("raise_to").null_count()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.publish.is_empty() and self.revoke.is_empty()

    def without_revoking(self) -> "RepairPlan":
        """Return the rest of the plan if nothing may be withdrawn."""
        return replace(self, revoke=self.revoke.clear(), refusal="")

    def as_json(self) -> dict[str, Any]:
        """Return counts, and the refusal."""
        return {
            "publish": self.publish.height,
            "under_raised_version": self.raised,
            "revoke": self.revoke.height,
            "unable": self.unable,
            "refusal": self.refusal,
        }


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Fields:
        published, revoked: events sent. skipped: keys left alone, because they changed, came again, or would be
            refused.
        caught_up: whether the hub has merged the events.
        still: the planned keys that differ after the repair: kind, key, part.
        refused: why the hub would refuse to withdraw keys, with counts; these are not sent.
    """

    published: int
    revoked: int
    skipped: int
    caught_up: bool
    still: pl.DataFrame = field(repr=False)
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Return how many of the planned keys still differ."""
        return self.still.height

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        names = ("published", "revoked", "skipped", "caught_up", "left")
        return {name: getattr(self, name) for name in names} | {"refused": dict(self.refused)}


def plan_repair(found: Compared, by_time: bool, allow_gone: int | None) -> RepairPlan:
    """Return what to do about a comparison's findings.

    Args:
        found: the comparison.
        by_time: the policy orders this source by time: no version can be raised.
        allow_gone: how many keys may be withdrawn; None: few (``ALLOWED_SHARE``, ``ALLOWED_FEW``).
    """
    order = (pl.col("epoch") > pl.col("there_epoch")) | (
        (pl.col("epoch") == pl.col("there_epoch")) & (pl.col("version") > pl.col("there_version"))
    )
    wins = pl.col("there_version").is_null() | order
    can_win = wins | ((pl.col("epoch") == pl.col("there_epoch")) & pl.lit(not by_time))
    wanted = found.of_kind(Kind.MISSING, Kind.DIFFERS).with_columns(
        raise_to=pl.when(~wins).then(pl.col("there_version") + 1)
    )
    gone = found.of_kind(Kind.LEFT_OVER)
    return RepairPlan(
        found.subject,
        wanted.filter(can_win),
        gone,
        wanted.filter(~can_win).height,
        _refusal(found, gone.height, allow_gone),
    )


def _refusal(found: Compared, gone: int, allow_gone: int | None) -> str:
    if allow_gone is not None:
        return "" if gone <= allow_gone else f"{gone:,} keys are gone, more than --allow-gone {allow_gone}"
    most = max(ALLOWED_FEW, found.claims // ALLOWED_SHARE)
    if gone > most or (gone and gone >= found.claims):
        return (
            f"{gone:,} of {found.claims:,} keys are gone from the source, more than {min(most, found.claims):,}: "
            f"make sure that the source is complete, then give --allow-gone {gone}"
        )
    if gone and found.unnamed:
        return (
            f"{found.unnamed:,} rows of the source have no readable key; what seems gone may be one of them: "
            f"correct them, or give --allow-gone {gone}"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Repairing:
    """What a repair needs: the comparison's sides, who does it, and the publisher."""

    comparing: Comparing
    publisher: Publisher
    by: By

    def repair(self, plan: RepairPlan) -> Repaired:
        """Carry out a plan; blocks while the source is read, and until the hub has merged what was sent.

        Raises:
            ConfigError: the plan may not be carried out; nothing is sent.
            RetryableError: something is unreachable; what was sent stays, and another repair does the rest.
        """
        if plan.refusal and not plan.revoke.is_empty():
            raise ConfigError([f"{plan.subject}: {plan.refusal}"])
        self._note(REPAIR, plan.subject, plan.as_json())
        published, present = self._publish(plan)
        revoked, refused = self._revoke(plan.revoke.join(present, on=_IDENTITY, how="anti"))
        caught_up = self.comparing.catch_up.wait(self.comparing.claims, self.comparing.tell)
        skipped = plan.publish.height + plan.revoke.height - published - revoked
        done = Repaired(published, revoked, skipped, caught_up, self._still(plan), refused)
        self._note(REPAIRED, plan.subject, done.as_json())
        return done

    def _publish(self, plan: RepairPlan) -> tuple[int, pl.DataFrame]:
        """Publish the rows that are still as planned; return how many, and which gone keys were found again."""
        wanted = plan.publish.select(*_IDENTITY, "content_hash", "raise_to")
        watched = plan.revoke.select(_IDENTITY)
        present = [watched.clear()]
        published = read = 0
        for page in self.comparing.streams.rows():
            judged = self.comparing.judge.judge(page.records)
            present.append(judged.select(_IDENTITY).join(watched, on=_IDENTITY, how="semi"))
            present += [watched.filter(pl.col("key") == row.key) for row in page.unmapped if row.key is not None]
            planned = judged.join(wanted, on=[*_IDENTITY, "content_hash"], how="inner").unique(_IDENTITY)
            published += self._send_rows(page, planned.sort("row"))
            read += len(page.records)
            self.comparing.tell("rows of the source, to publish", read, None)
        return published, pl.concat(present).unique()

    def _send_rows(self, page: SourceRows, planned: pl.DataFrame) -> int:
        records = [
            page.records[row] if version is None else page.raised(row, version)
            for row, version in planned.select("row", "raise_to").iter_rows()
        ]
        if records:
            self.publisher.publish(event_topic(self.comparing.claims.subject), records)
            page.remember(dict(planned.select("row", "raise_to").drop_nulls().iter_rows()))
        return len(records)

    def _revoke(self, gone: pl.DataFrame) -> tuple[int, Counter[str]]:
        """Withdraw what is gone, with the content that the source said last and the next version; return how many.

        Withdrawals that the hub would refuse are left out and counted by reason: after its cut-over a source may not
        speak.
        """
        claims = self.comparing.claims
        encoder = Encoder(claims.subject, self.comparing.judge.secret)
        revoked, refused = 0, Counter[str]()
        for first in range(0, gone.height, ROUND):
            some = gone.slice(first, ROUND)
            planned = {(row["key"], row["part"]): row["there_version"] for row in some.iter_rows(named=True)}
            events = self._revocations(claims.whole(some.get_column("key").unique()), planned)
            made = [(encoder.key(event), encoder.encode(event)) for event in events]
            judged = self.comparing.judge.judge(made)
            refused.update(judged.get_column("refused").drop_nulls())
            records = [made[row] for row in judged.filter(pl.col("refused").is_null()).get_column("row")]
            if records:
                self.publisher.publish(event_topic(claims.subject), records)
            revoked += len(records)
            self.comparing.tell("keys withdrawn", revoked, gone.height)
        return revoked, refused

    def _revocations(
        self, claims: Iterator[Mapping[str, Any]], planned: Mapping[tuple[bytes, str], int]
    ) -> Iterator[dict[str, Any]]:
        """Yield the events that withdraw claims, for those claims that are still as planned."""
        names = {spec.name for spec in self.comparing.claims.tables.data}
        now = datetime.now(UTC)
        for claim in claims:
            key: UUID = claim["key"]
            if planned.get((key.bytes, claim["_part"])) != claim["source_version"]:
                continue
            version = int(claim["source_version"]) + 1
            yield {name: claim[name] for name in names if name in claim} | {
                "event_id": self._event_id(key, claim["_part"], claim["source_epoch"], version),
                "occurred_at": now,
                "recorded_at": now,
                "source_system": self.comparing.claims.source,
                "source_agency": claim["source_agency"],
                "source_epoch": claim["source_epoch"],
                "source_version": version,
                "operation": Operation.REVOKE.value,
                "unit_scheme": claim["unit_scheme"],
                "actor": self.by.actor,
            }

    def _event_id(self, key: UUID, part: str, epoch: int, version: int) -> bytes:
        claims, secret = self.comparing.claims, self.comparing.judge.secret.encode()
        said = f"{claims.source}\x1f{claims.subject}\x1f{epoch}\x1f{key.hex}\x1f{part}\x1f{version}\x1fgone"
        return hashlib.blake2b(said.encode(), digest_size=16, key=hashlib.sha256(secret).digest()).digest()

    def _still(self, plan: RepairPlan) -> pl.DataFrame:
        """Return the planned keys that still differ from the source."""
        claims = self.comparing.claims
        asked = pl.concat([plan.publish.get_column("key"), plan.revoke.get_column("key")]).unique()
        there = claims.of_keys(asked).filter(~pl.col("revoked"))
        gone = plan.revoke.join(there, on=_IDENTITY, how="semi")
        back = plan.publish.filter("revoked").join(there, on=_IDENTITY, how="semi")
        same = there.select(*_IDENTITY, "content_hash")
        other = plan.publish.filter(~pl.col("revoked")).join(same, on=[*_IDENTITY, "content_hash"], how="anti")
        return pl.concat([keys.select("kind", *_IDENTITY) for keys in (gone, back, other)])

    def _note(self, name: str, subject: str, detail: Mapping[str, Any]) -> None:
        claims = self.comparing.claims
        told = {"source": claims.source, "subject": subject, **detail}
        with translated_errors("noting a repair"), claims.engine.begin() as connection:
            note(connection, Action(self.by.actor, name, self.by.purpose, detail=told))
