"""What a source's events will find in the hub: its policy, and whether the warehouse knows what they refer to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Engine, Select, func, select
from sqlalchemy.exc import DBAPIError

from connectors.checks.permitted import policy_problems, policy_warnings
from connectors.declared.declaration import Declaration
from hub.cli.connect.one_version import OneVersion
from hub.cli.shared.context import warehouse
from hub.codec.catalogue import load_catalogue
from hub.config import load_settings
from hub.embedded.locate import endpoints
from hub.intake.checks.flags import with_flags
from hub.intake.decode.batch import Phase, decode_batch
from hub.model.compared import Record
from hub.model.declaration import Aspect, Entity, NamedBy, Reference
from hub.model.entities import ENTITIES, SUBJECTS, entity_named
from hub.model.errors import ConfigError, HubError
from hub.model.flags import flags_in
from hub.model.policies.policy import Policy, Source, load_policy
from hub.model.policies.quality import QualityRules, quality_rules
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.entities import aspect_tables

MOST_NAMED = 20


class Around:
    """Judges a source's events by the hub's policy and warehouse, and says what could not be read."""

    def __init__(self, declaration: Declaration, policy: Policy | None, known: dict[str, set[str]] | None) -> None:
        """Take the policy, and what the warehouse knows by entity; None: it could not be read."""
        self._declaration = declaration
        self._policy = policy
        self._known = known
        self._rules = quality_rules(policy.quality) if policy else QualityRules()
        self._named: dict[str, Counter[str]] = {}
        self._flags: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self.versions = OneVersion()

    def take(self, subject: str, stream: str, records: Sequence[Record], own_keys: Sequence[str]) -> None:
        """Count the flags of some records, those that the policy refuses, what they refer to, and reused versions.

        Args:
            subject: of the records.
            stream: where they come from.
            records: keys and values, as they would be published.
            own_keys: the source's own key of each record, as JSON.
        """
        if not records:
            return
        version = load_catalogue().latest(subject)
        frame = decode_batch(subject, [value for _, value in records], _no_mark).frame
        self.versions.take(subject, stream, [key for key, _ in records], frame, own_keys)
        self._refuse(subject, frame)
        masks = with_flags(frame, version, self._rules)["flags"].drop_nulls().value_counts()
        for mask, count in masks.iter_rows():
            self._flags.update({flag.name or str(flag): count for flag in flags_in(mask)})
        for reference in references_of(subject):
            if reference.field in frame.columns:
                codes = _codes(frame, reference)
                self._named.setdefault(reference.entity, Counter()).update(codes)

    def _refuse(self, subject: str, frame: pl.DataFrame) -> None:
        if self._policy is None:
            return
        source = self._policy.sources.get(self._declaration.code)
        if source is None:
            self._refused["SOURCE_UNKNOWN"] += frame.height
        elif subject not in source.subjects:
            self._refused["SOURCE_NOT_ALLOWED"] += frame.height
        elif outside := _outside(frame, source):
            self._refused["outside valid_from, valid_until"] += outside

    def refused(self) -> dict[str, int]:
        """Return how many events the policy would refuse, by reason."""
        return dict(self._refused)

    def flags(self) -> dict[str, int]:
        """Return how many events would have each flag."""
        return dict(self._flags.most_common())

    def told(self) -> dict[str, Any]:
        """Return what the policy and the warehouse say, as lines, and which referenced things are missing."""
        return {"policy": list(self._of_policy()), "references": list(self._of_references()), "missing": self.missing()}

    def _of_policy(self) -> Iterator[str]:
        if self._policy is None:
            yield "the policy was not checked: HUB_POLICY is not set. The hub's policy must know this source"
            return
        yield from (f"warning: {text}" for text in policy_warnings(self._declaration, self._policy, datetime.now(UTC)))

    def missing(self) -> dict[str, dict[str, int]]:
        """Return the referenced things that the warehouse does not know, with how many events refer to each."""
        if self._known is None:
            return {}
        found = {}
        for entity, codes in self._named.items():
            gone = {code: count for code, count in codes.most_common() if code not in self._known.get(entity, ())}
            if gone:
                found[entity] = gone
        return found

    def _of_references(self) -> Iterator[str]:
        wanted = {
            reference.entity: (stream.name, reference.field)
            for stream in self._declaration.streams
            for reference in references_of(stream.subject)
            if reference.field in {rule.field for rule in stream.fields}
        }
        for entity, (stream, name) in wanted.items():
            says, label = published_by(entity_named(entity)), entity_named(entity).label
            if self._known is None:
                yield (
                    f"{stream}: {name} must name a known {label}; no warehouse could be reached. If the hub does not "
                    f"know it, the event is parked: {says}"
                )
            elif not self._known.get(entity):
                yield f"{stream}: {name}: the hub knows no {label} yet, so all these events would be parked: {says}"
        for entity, codes in self.missing().items():
            some = ", ".join(f"{code} ({count:,})" for code, count in list(codes.items())[:MOST_NAMED])
            yield (
                f"missing: {sum(codes.values()):,} events name an unknown {entity_named(entity).label} ({len(codes):,} "
                f"codes) and would be parked: {some}"
            )


def references_of(subject: str) -> list[Reference]:
    """Return what events of a subject refer to by a code that another source publishes."""
    _, aspect = SUBJECTS[subject]
    return [one for one in aspect.references if entity_named(one.entity).named_by is not None]


def published_by(entity: Entity) -> str:
    """Say who publishes the things of an entity, and what to do if the hub does not know them."""
    subjects = " or ".join(aspect.subject for aspect in entity.aspects)
    return entity.published_by or f"a source that may speak of {subjects} by the policy publishes it"


def look_around(declaration: Declaration) -> Around:
    """Read the policy and the warehouse, as far as they are available.

    Raises:
        ConfigError: the policy does not allow what the source would say.
    """
    settings = load_settings()
    policy = load_policy(settings.policy) if settings.policy else None
    if policy is not None and (problems := list(policy_problems(declaration, policy))):
        raise ConfigError(problems)
    known: dict[str, set[str]] | None = None
    try:
        engine = warehouse(settings, endpoints(settings), "hub connect check")
    except HubError:
        return Around(declaration, policy, None)
    try:
        known = known_things(engine)
    except (HubError, DBAPIError):
        # unreachable, not migrated, or not readable by this role: then nothing can be said about it
        known = None
    finally:
        engine.dispose()
    return Around(declaration, policy, known)


def known_things(engine: Engine) -> dict[str, set[str]]:
    """Return the codes that the warehouse knows, by entity: each as its scheme and what identifies it.

    Raises:
        HubError: the warehouse is unreachable, or was not migrated.
    """
    with translated_errors("reading what the hub knows"), engine.connect() as connection:
        return {
            entity.name: {
                ":".join(map(str, row))
                for aspect in entity.aspects
                for row in connection.execute(_codes_known(aspect, by))
            }
            for entity in ENTITIES
            if (by := entity.named_by) is not None
        }


def _codes_known(aspect: Aspect, by: NamedBy) -> Select[tuple[str, ...]]:
    claim = aspect_tables(aspect.subject).claim
    code: ColumnElement[str] = claim.c[by.code]
    if by.characters is not None:
        code = func.left(code, by.characters)
    return select(*([claim.c[by.scheme]] if by.scheme else []), code).distinct()


def _codes(frame: pl.DataFrame, reference: Reference) -> dict[str, int]:
    """Count the codes that rows refer to, in the form of ``known_things``."""
    by = entity_named(reference.entity).named_by
    assert by is not None  # noqa: S101 - see references_of
    code = pl.col(reference.field).cast(pl.String())
    if by.characters is not None:
        code = code.str.slice(0, by.characters)
    if by.scheme is not None:
        code = pl.concat_str(pl.col(reference.scheme).cast(pl.String()), code, separator=":")
    return dict(frame.select(code.alias("code")).drop_nulls()["code"].value_counts().iter_rows())


def _outside(frame: pl.DataFrame, source: Source) -> int:
    at = pl.col("occurred_at")
    outside = pl.lit(False)
    if source.valid_from is not None:
        outside = outside | (at < pl.lit(source.valid_from))
    if source.valid_until is not None:
        outside = outside | (at >= pl.lit(source.valid_until))
    return int(frame.select(outside.sum().alias("n"))["n"][0] or 0)


def _no_mark(_: Phase, __: int) -> None:
    """Do nothing: no watcher is needed for bytes that the hub made itself."""
