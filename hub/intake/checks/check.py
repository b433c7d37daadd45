"""Check a subject's decoded rows: values against rules, the key against the key fields, the source against the policy.

All checks work on columns. A row gets the first reason that applies; rows without a reason go on to the merge, without
the optional values that break their rule (``hub.intake.checks.values``). The content hash is computed before these are
dropped. If the policy orders a source by time, its events get their time, in microseconds, as version. Two events of
one key with the same time and different content are then a reused version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.intake.checks.derived import derived_columns, hashed_key
from hub.intake.checks.flags import with_flags
from hub.intake.checks.lengths import suspected
from hub.intake.checks.list_values import MENDED, NOTED, REFUSED, doubtful_lists
from hub.intake.checks.values import ValueCheck, any_broken, value_checks, without_broken
from hub.model.declaration import Aspect, Entity
from hub.model.entities import SUBJECTS
from hub.model.outcomes import OUTCOME_OF_REASON, Reason
from hub.model.policies.policy import EventOrder, Policy
from hub.model.policies.quality import QualityRules, quality_rules
from hub.reconcile.parking.dated_ahead import is_ahead
from hub.warehouse.copy import filled

_DEFAULT_QUALITY = QualityRules()
_RULES_OF_SOURCES = pl.Schema(
    {
        "source": pl.Int16(),
        "_allowed": pl.Boolean(),
        "_from": pl.Datetime("us", "UTC"),
        "_until": pl.Datetime("us", "UTC"),
    }
)


@dataclass(frozen=True, slots=True)
class SourceRules:
    """The policy as frames, one row per source: its number, whether it may speak of the subject, from when until when.

    Fields:
        codes: codes of the sources, in row order.
        by_subject: one frame per subject.
        by_time: codes of the sources whose events are ordered by when they occurred.
        quality: limits of the quality flags.
    """

    codes: pl.Enum
    by_subject: Mapping[str, pl.DataFrame]
    by_time: tuple[str, ...] = ()
    quality: QualityRules = _DEFAULT_QUALITY

    @classmethod
    def of(cls, policy: Policy, numbers: Mapping[str, int]) -> "SourceRules":
        """Build it from the policy and the warehouse's source numbers."""
        of_all = list(policy.sources.values())
        by_subject = {
            subject: pl.DataFrame(
                {
                    "source": [numbers[source.code] for source in of_all],
                    "_allowed": [subject in source.subjects for source in of_all],
                    "_from": [source.valid_from for source in of_all],
                    "_until": [source.valid_until for source in of_all],
                },
                schema=_RULES_OF_SOURCES,
            )
            for subject in SUBJECTS
        }
        by_time = tuple(of.code for of in of_all if of.order is EventOrder.TIME)
        return cls(pl.Enum([source.code for source in of_all]), by_subject, by_time, quality_rules(policy.quality))


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that pass (with source, content_hash, revoked, flags, ahead), and the others (source, reason, detail)."""

    passed: pl.DataFrame
    refused: pl.DataFrame


def check(
    frame: pl.DataFrame, version: SchemaVersion, entity: Entity, aspect: Aspect, sources: SourceRules, secret: str
) -> Checked:
    """Split a subject's rows into those that pass and those that are refused.

    Args:
        frame: decoded fields of ``version``, and ``key`` (Binary): the Kafka key of each record.
        version: the schema with which they were read.
        entity: the entity that the subject feeds.
        aspect: the aspect of the entity.
        sources: which source may speak of what.
        secret: secret of the keyed hash.
    """
    place = frame["source_system"].cast(sources.codes, strict=False).to_physical()
    rules = [rule[place] for rule in sources.by_subject[aspect.subject].iter_columns()]
    names = frozenset(filled(frame))
    lists = doubtful_lists(frame, version, names)
    refusals = tuple(column.name for column in lists if column.name.startswith(REFUSED))
    looked = _Looked(version, names, suspected(frame, version, names), refusals)
    judged = frame.hstack([*rules, *lists]).with_columns(_judgement(looked, aspect.subject, secret))
    if sources.by_time:
        judged = judged.with_columns(version_by_time(sources.by_time))
    is_wrong = judged["_wrong"]
    passed, refused = judged, judged.clear()
    if is_wrong.any():
        passed, refused = judged.filter(~is_wrong), judged.filter(is_wrong)
    refused = _with_reasons(refused, _checks(looked, aspect.subject, secret))
    if passed["_doubtful"].any() or lists:
        passed = _mended(passed, looked, aspect, lists)
    for name in ("_allowed", "_from", "_until", "_wrong", "_doubtful", *(column.name for column in lists)):
        passed.drop_in_place(name)
        refused.drop_in_place(name)
    passed = with_flags(passed, version, sources.quality)
    return Checked(passed.with_columns(is_ahead(sources.quality.ahead, datetime.now(UTC))), refused)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What to look for in a batch. Results by it are cached: batches of a subject usually have the same fields filled.

    Fields:
        version: the schema of the rows.
        names: columns with at least one value; value checks cannot fail in the others.
        long: fields with a text that may be too long.
        refusals: columns that say why a list refuses its row.
    """

    version: SchemaVersion
    names: frozenset[str]
    long: frozenset[str]
    refusals: tuple[str, ...]

    def values(self, *, refusing: bool) -> list[ValueCheck]:
        """Return the checks that refuse a row, or those that drop a value."""
        checks = value_checks(self.version, self.names, self.long)
        return [check for check in checks if check.refuses is refusing]


@lru_cache(maxsize=1024)
def _judgement(looked: _Looked, subject: str, secret: str) -> tuple[pl.Expr, ...]:
    """Return what follows from a row's own fields; ``_wrong``: it is refused, ``_doubtful``: it is to be mended."""
    _, aspect = SUBJECTS[subject]
    wrong = [check.broken for check in looked.values(refusing=True)]
    wrong += [wrong for reason, _, wrong in _checks(looked, subject, secret) if reason is not Reason.INVALID_VALUE]
    wrong += [pl.col(name).is_not_null() for name in looked.refusals]
    return (
        *derived_columns(looked.version, aspect, secret),
        pl.any_horizontal(wrong).fill_null(value=False).alias("_wrong"),
        any_broken(looked.values(refusing=False)).alias("_doubtful"),
    )


@lru_cache(maxsize=1024)
def _checks(looked: _Looked, subject: str, secret: str) -> "tuple[_Check, ...]":
    """Return what refuses a row, in the order in which it is told."""
    entity, _ = SUBJECTS[subject]
    of_values: list[_Check] = [
        (Reason.INVALID_VALUE, pl.lit(f"{check.field}: {text}"), wrong)
        for check in looked.values(refusing=True)
        for _, text, wrong in check.parts
    ]
    of_lists: list[_Check] = [
        (Reason.INVALID_VALUE, pl.col(name), pl.col(name).is_not_null()) for name in looked.refusals
    ]
    return (*of_values, *of_lists, _key_reason(entity, secret), *_SOURCE_REASONS)


def _with_reasons(wrong: pl.DataFrame, checks: "Sequence[_Check]") -> pl.DataFrame:
    if wrong.is_empty():
        told = [column for column in wrong.iter_columns() if column.name not in _NO_REASONS]
        return pl.DataFrame([*told, *_NO_REASONS.values()])
    return wrong.with_columns(
        reason=pl.coalesce([pl.when(fails).then(pl.lit(name.value)) for name, _, fails in checks]),
        detail=pl.coalesce([pl.when(fails).then(text) for _, text, fails in checks]),
    )


def _mended(passed: pl.DataFrame, looked: _Looked, aspect: Aspect, lists: Sequence[pl.Series]) -> pl.DataFrame:
    """Return the rows without the optional values that break their rule, with a note of each."""
    mended = [name for column in lists if (name := column.name).startswith(MENDED)]
    noted = [name for column in lists if (name := column.name).startswith(NOTED)]
    passed = passed.with_columns(pl.col(name).alias(name.removeprefix(MENDED)) for name in mended)
    return without_broken(passed, looked.values(refusing=False), looked.version, aspect, noted)


def version_by_time(codes: Sequence[str]) -> pl.Expr:
    """Return ``source_version``: for the sources with these codes, the time at which the event occurred."""
    is_by_time = pl.col("source_system").is_in(codes)
    return (
        pl.when(is_by_time)
        .then(pl.col("occurred_at").dt.epoch("us"))
        .otherwise(pl.col("source_version"))
        .alias("source_version")
    )


def outcome_column(reason: str = "reason") -> pl.Expr:
    """Return the outcome that belongs to each row's reason."""
    return pl.col(reason).replace_strict(
        {name.value: outcome.value for name, outcome in OUTCOME_OF_REASON.items()}, return_dtype=pl.String
    )


_NO_REASONS = {name: pl.Series(name, [], pl.String()) for name in ("reason", "detail")}

_Check = tuple[Reason, pl.Expr, pl.Expr]
"""Reason, text for the operator (never a value), and the rows to which it applies."""

_SOURCE_REASONS: Sequence[_Check] = (
    (Reason.SOURCE_UNKNOWN, pl.lit("source_system is not in the policy"), pl.col("source").is_null()),
    (
        Reason.SOURCE_NOT_ALLOWED,
        pl.lit("the policy does not let this source speak of this subject"),
        ~pl.col("_allowed"),
    ),
    (Reason.BEFORE_START, pl.lit("occurred before the source's valid_from"), pl.col("occurred_at") < pl.col("_from")),
    (
        Reason.AFTER_CUT_OVER,
        pl.lit("occurred at or after the source's cut-over"),
        pl.col("occurred_at") >= pl.col("_until"),
    ),
)


def _key_reason(entity: Entity, secret: str) -> _Check:
    expected = hashed_key(entity.name, [pl.col(name) for name in entity.key], secret)
    mismatch = pl.col("key").ne_missing(expected)
    return (Reason.KEY_MISMATCH, pl.lit("the Kafka key is not the keyed hash of the entity's key"), mismatch)
