"""Check a subject's decoded rows: values against rules, the key against the key fields, the source against the policy.

All checks work on columns. A row gets the first reason that applies; rows without a reason go on to the merge. If the
policy orders a source by time, its events get their time, in microseconds, as version. Two events of one key with the
same time and different content are then a reused version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache

import polars as pl

from hub.codec.catalogue import SchemaVersion
from hub.codec.fields import FieldKind
from hub.intake.checks.derived import derived_columns, hashed_key
from hub.intake.checks.flags import with_flags
from hub.intake.checks.lengths import Path, suspected, too_long
from hub.model.declaration import Aspect, Entity
from hub.model.entities import SUBJECTS
from hub.model.outcomes import OUTCOME_OF_REASON, Reason
from hub.model.policies.policy import EventOrder, Policy
from hub.model.policies.quality import QualityRules, quality_rules
from hub.model.rules import (
    LEAST_DAY,
    LEAST_MOMENT,
    MOST_DAY,
    MOST_MOMENT,
    OUT_OF_YEARS,
    RULES,
    Rule,
    rule_texts,
)
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
    long = suspected(frame, version, names)
    judged = frame.hstack(rules).with_columns(_judgement(version, aspect.subject, secret, names, long))
    if sources.by_time:
        judged = judged.with_columns(version_by_time(sources.by_time))
    is_wrong = judged["_wrong"]
    passed, refused = judged, judged.clear()
    if is_wrong.any():
        passed, refused = judged.filter(~is_wrong), judged.filter(is_wrong)
    refused = _with_reasons(refused, version, entity, secret, long)
    for name in ("_allowed", "_from", "_until", "_wrong"):
        passed.drop_in_place(name)
        refused.drop_in_place(name)
    passed = with_flags(passed, version, sources.quality)
    return Checked(passed.with_columns(is_ahead(sources.quality.ahead, datetime.now(UTC))), refused)


@lru_cache(maxsize=1024)
def _judgement(
    version: SchemaVersion, subject: str, secret: str, names: frozenset[str], long: frozenset[Path]
) -> tuple[pl.Expr, ...]:
    """Return the columns that follow from a row's own fields, and ``_wrong``: whether any check fails.

    The result is cached, because batches of a subject usually have the same fields filled.

    Args:
        version: the schema of the rows.
        subject: their subject.
        secret: secret of the keyed hash.
        names: columns with at least one value; value checks cannot fail in the others.
        long: fields with a text that may be too long.
    """
    entity, aspect = SUBJECTS[subject]
    of_values = [check for check in _value_reasons(version) if names.issuperset(check[2].meta.root_names())]
    checks = [*of_values, *_length_reasons(version, long), _key_reason(entity, secret), *_SOURCE_REASONS]
    wrong = pl.any_horizontal(wrong for _, _, wrong in checks).fill_null(False)
    return (*derived_columns(version, aspect, secret), wrong.alias("_wrong"))


def _length_reasons(version: SchemaVersion, long: frozenset[Path]) -> "list[_Check]":
    checks = (too_long(version, path) for path in sorted(long))
    return [(Reason.INVALID_VALUE, check.detail, check.wrong) for check in checks]


def _with_reasons(
    wrong: pl.DataFrame, version: SchemaVersion, entity: Entity, secret: str, long: frozenset[Path]
) -> pl.DataFrame:
    if wrong.is_empty():
        told = [column for column in wrong.iter_columns() if column.name not in _NO_REASONS]
        return pl.DataFrame([*told, *_NO_REASONS.values()])
    of_values = (*_value_reasons(version), *_length_reasons(version, long))
    checks = [*of_values, _key_reason(entity, secret), *_SOURCE_REASONS]
    return wrong.with_columns(
        reason=pl.coalesce([pl.when(fails).then(pl.lit(name.value)) for name, _, fails in checks]),
        detail=pl.coalesce([pl.when(fails).then(pl.lit(text)) for _, text, fails in checks]),
    )


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

_Check = tuple[Reason, str, pl.Expr]
"""Reason, text for the operator (never a value), and the rows to which it applies."""

_SOURCE_REASONS: Sequence[_Check] = (
    (Reason.SOURCE_UNKNOWN, "source_system is not in the policy", pl.col("source").is_null()),
    (Reason.SOURCE_NOT_ALLOWED, "the policy does not let this source speak of this subject", ~pl.col("_allowed")),
    (Reason.BEFORE_START, "occurred before the source's valid_from", pl.col("occurred_at") < pl.col("_from")),
    (Reason.AFTER_CUT_OVER, "occurred at or after the source's cut-over", pl.col("occurred_at") >= pl.col("_until")),
)


@cache
def _value_reasons(version: SchemaVersion) -> tuple[_Check, ...]:
    checks: list[_Check] = []
    for spec in version.fields:
        if spec.kind is FieldKind.TIMESTAMP:
            wrong = ~pl.col(spec.name).is_between(LEAST_MOMENT, MOST_MOMENT)
            checks.append((Reason.INVALID_VALUE, f"{spec.name}: {OUT_OF_YEARS}", wrong))
        elif spec.kind is FieldKind.DATE:
            wrong = ~pl.col(spec.name).is_between(LEAST_DAY, MOST_DAY)
            checks.append((Reason.INVALID_VALUE, f"{spec.name}: {OUT_OF_YEARS}", wrong))
        if spec.name in RULES:
            checks.extend(_rule_checks(spec.name, RULES[spec.name]))
    return tuple(checks)


def _rule_checks(name: str, rule: Rule) -> list[_Check]:
    wrong: dict[str, pl.Expr] = {}
    if rule.pattern is not None:
        wrong["pattern"] = ~pl.col(name).str.contains(rule.pattern)
    if rule.least is not None:
        wrong["least"] = pl.col(name) < rule.least
    if rule.most is not None:
        wrong["most"] = pl.col(name) > rule.most
    texts = rule_texts(rule)
    return [(Reason.INVALID_VALUE, f"{name}: {texts[part]}", breaks) for part, breaks in wrong.items()]


def _key_reason(entity: Entity, secret: str) -> _Check:
    expected = hashed_key(entity.name, [pl.col(name) for name in entity.key], secret)
    mismatch = pl.col("key").ne_missing(expected)
    return (Reason.KEY_MISMATCH, "the Kafka key is not the keyed hash of the entity's key", mismatch)
