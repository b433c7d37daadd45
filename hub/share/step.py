"""One step of share: new changes of the audit log, a page of a request, and records that were set aside before.

``next_step`` reads and composes, ``step_done`` stores the result. Each runs in the caller's transaction; the records
are sent between the two. The new changes of a blocked topic (hub.share.blocked) wait for its trials.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, func, select

from hub.model.bug import Bug
from hub.model.errors import HubError, NothingComposedError
from hub.model.set_aside import SetAside
from hub.share.blocked import (
    NOT_THERE,
    BlockedTopic,
    Trial,
    read_blocked,
    settle_blocked_alerts,
    store_block,
    store_trial,
    trials_due,
)
from hub.share.columns.records import add_keys, key_series
from hub.share.composing import Composes, compose_each
from hub.share.outbox import Changes, Span, changes_in, move_positions, open_spans
from hub.share.republish import Page, Republication, move_request, next_page, open_requests
from hub.share.send.outgoing import Outgoing, Refused, copy_of_letter, golden_record
from hub.share.send.parcel import Parcel, golden_records, parcels_of
from hub.share.set_aside import asides_to_try, close_items, close_published, letters_at, note_refused, settle_alert
from hub.share.stamp import Stamp, stamp_of
from hub.share.topics import accept_id
from hub.topology import record_topics
from hub.warehouse.database import translated_errors

_log = logging.getLogger(__name__)
KEYS_AT_ONCE = 20_000
_NOT_MADE = (SetAside.NOT_COMPOSED, SetAside.NOT_ENCODABLE)


Fresh = tuple[dict[str, pl.Series], list[Outgoing]]
"""New content to publish: keys to compose, by name, and copies of dead letters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a step looks for beside new changes.

    Fields:
        began: when share started: topics that were blocked before are tried at once.
        try_again_before: retry records that were set aside and last tried before this time; None: none.
        any_request: whether to look for requests to publish again.
        missing: topics that do not exist.
    """

    began: datetime
    try_again_before: datetime | None = None
    any_request: bool = False
    missing: frozenset[str] = frozenset()


@dataclass(slots=True)
class Step:
    """The content of one step.

    Fields:
        spans: parts of the audit log; empty if nothing is new.
        page: of a request to publish again.
        outgoing: records to send.
        refused: records that cannot be composed or that were refused when sent.
        gone: records that were set aside and no longer exist, by topic.
        tried_again: whether records that were set aside are tried again.
        trials: missed parts of blocked topics, each sent in a transaction of its own.
        withheld: topics that do not get the new changes, with the reason; None: the reason already stored.
        tried: topics of ``withheld`` that this step tried to publish to.
    """

    spans: Sequence[Span] = ()
    page: Page | None = None
    outgoing: list[Parcel] = field(default_factory=list)
    refused: Refused = field(default_factory=list)
    gone: dict[str, list[str]] = field(default_factory=dict)
    tried_again: bool = False
    trials: list[Trial] = field(default_factory=list)
    withheld: dict[str, str | None] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        is_any_news = bool(self.spans or self.trials or self.withheld)
        return not is_any_news and self.page is None and not self.tried_again

    def block(self, topic: str, why: str, is_tried: bool = True) -> None:
        """Remove everything for a topic: the topic accepts no records, or its records cannot be composed."""
        self.withheld[topic] = why
        if is_tried:
            self.tried.add(topic)
        self.trials = [trial for trial in self.trials if trial.topic != topic]
        self.outgoing = [item for item in self.outgoing if item.topic != topic]
        self.refused = [(item, refusal) for item, refusal in self.refused if item.topic != topic]
        if self.page is not None and self.page.request.topic == topic:
            self.page = None

    def sent(self) -> list[Parcel]:
        """Return all records of the step and its trials."""
        return [*self.outgoing, *(item for trial in self.trials for item in trial.outgoing)]

    def unsent(self) -> int:
        """Return how many of the records of ``sent`` were refused when sent; others were not even composed."""
        return sum(why.reason not in _NOT_MADE for _, why in self.all_refused())

    def all_refused(self) -> Refused:
        """Return all records that cannot be published."""
        return [*self.refused, *(one for trial in self.trials for one in trial.refused)]


def next_step(connection: Connection, composers: Mapping[str, Composes], wanted: Wanted) -> Step:
    """Return what to publish next, composed from what is stored now.

    Args:
        connection: in a transaction.
        composers: by the names of ``record_topics``.
        wanted: what to look for beside new changes.

    Raises:
        RetryableError: the environment.
    """
    step, blocked = Step(open_spans(connection)), read_blocked(connection)
    step.trials = trials_due(connection, blocked, wanted.missing, wanted.began)
    closed = _closed_topics(step, blocked, wanted)
    requests = open_requests(connection) if wanted.any_request else []
    step.withheld |= {one.topic: NOT_THERE for one in requests if one.topic in wanted.missing - blocked.keys()}
    requests = [one for one in requests if one.topic not in closed]
    if step.is_empty and not requests and wanted.try_again_before is None:
        return step
    news = changes_in(connection, step.spans)
    stamp = stamp_of(clock_of(connection), news, step.spans)
    keys = {name: found["key"] for name, found in news.rows.items()}
    letters = _letters_of(news, step.spans, stamp)
    _withhold(step, closed, keys, letters)
    if wanted.try_again_before is not None:
        _add_asides(connection, step, (keys, letters), (wanted.try_again_before, closed), stamp)
    if requests:
        letters += _requested(connection, step, requests[0], keys, stamp)
    _add_trials(connection, composers, step, (keys, letters), news)
    step.outgoing += parcels_of(letters)
    for name, found in keys.items():
        _compose_or_block(connection, composers[name], name, found, step, stamp)
    return step


def _closed_topics(step: Step, blocked: Mapping[str, BlockedTopic], wanted: Wanted) -> dict[str, str | None]:
    """Return the topics that get no new changes in this step, with the reason; None: the reason already stored."""
    missing: dict[str, str | None] = dict.fromkeys(wanted.missing, NOT_THERE)
    last = {trial.topic for trial in step.trials if trial.is_last}
    return missing | {topic: None for topic in blocked if topic not in last}


def _letters_of(changes: Changes, spans: Sequence[Span], stamp: Stamp) -> list[Outgoing]:
    places = {span.log: (span.topic, span.partition) for span in spans}
    return [copy_of_letter(*places[letter.log], letter, stamp.published) for letter in changes.dead_letters]


def _withhold(
    step: Step, closed: Mapping[str, str | None], keys: dict[str, pl.Series], letters: list[Outgoing]
) -> None:
    """Remove new changes of closed topics, and note that the topics miss them."""
    for name, topic in record_topics().items():
        if topic in closed and len(keys.pop(name, ())):
            step.withheld[topic] = closed[topic]
    for topic in {item.topic for item in letters} & closed.keys():
        step.withheld[topic] = closed[topic]
    letters[:] = [item for item in letters if item.topic not in closed]


def _add_asides(
    connection: Connection,
    step: Step,
    fresh: Fresh,
    which: tuple[datetime, Collection[str]],
    stamp: Stamp,
) -> None:
    """Add records that were set aside: those last tried before a time, except for some topics."""
    asides = asides_to_try(connection, *which)
    step.tried_again = bool(asides)
    names = {topic: name for name, topic in record_topics().items()}
    (keys, letters), copies = fresh, []
    again: dict[str, list[UUID]] = {}
    for one in asides:
        if one.key is not None and one.topic in names:
            again.setdefault(names[one.topic], []).append(one.key)
        else:
            copies.append(one)
    for name, some in again.items():
        add_keys(keys, name, key_series(some))
    known = {item.item for item in letters}
    found = letters_at(connection, [one.item for one in copies])
    for one in copies:
        if one.item not in found:
            step.gone.setdefault(one.topic, []).append(one.item)
        elif one.item not in known:
            letter = found[one.item]
            letters.append(copy_of_letter(letter.topic, letter.partition, letter, stamp.published))


def _requested(
    connection: Connection, step: Step, request: Republication, keys: dict[str, pl.Series], stamp: Stamp
) -> list[Outgoing]:
    """Add the next page of a request to the keys of a step; return its letters."""
    step.page = next_page(connection, request)
    if step.page.keys:
        add_keys(keys, request.name, key_series(step.page.keys))
    return [copy_of_letter(one.topic, one.partition, one, stamp.published) for one in step.page.letters]


def _add_trials(
    connection: Connection,
    composers: Mapping[str, Composes],
    step: Step,
    fresh: Fresh,
    news: Changes,
) -> None:
    """Compose the trials' records; a last trial also gets the new content of its topic."""
    keys, letters = fresh
    for trial in list(step.trials):
        missed = changes_in(connection, trial.spans)
        places = pl.concat([missed.of_name(trial.name), news.of_name(trial.name)]).unique("key", keep="last")
        spans = [*trial.spans, *step.spans]
        stamp = stamp_of(clock_of(connection), Changes({trial.name: places}), spans)
        found = {trial.name: missed.of_name(trial.name)["key"]}
        copies = [item for item in _letters_of(missed, spans, stamp) if item.topic == trial.topic]
        if trial.is_last:
            add_keys(found, trial.name, keys.pop(trial.name, key_series([])))
            copies += [item for item in letters if item.topic == trial.topic]
            letters[:] = [item for item in letters if item.topic != trial.topic]
        trial.outgoing += parcels_of(copies)
        if len(found[trial.name]):
            _compose_or_block(connection, composers[trial.name], trial.name, found[trial.name], step, stamp, trial)


def _compose_or_block(
    connection: Connection,
    composer: Composes,
    name: str,
    keys: pl.Series,
    step: Step,
    stamp: Stamp,
    trial: Trial | None = None,
) -> None:
    """Compose a name's records into a step or into a trial; if none can be composed, block the topic."""
    topic, target = record_topics()[name], trial or step
    try:
        with connection.begin_nested(), translated_errors("composing records"):
            ordered = keys.sort().to_arrow(compat_level=pl.CompatLevel.oldest())
            for first in range(0, len(ordered), KEYS_AT_ONCE):
                part = compose_each(composer, connection, ordered[first : first + KEYS_AT_ONCE])
                for some, values in part.parts:
                    positions = stamp.positions(connection, name, some)
                    target.outgoing.append(golden_records(topic, some, values, stamp.published, positions))
                target.refused += [(golden_record(topic, key, None), why) for key, why in part.refused.items()]
    except NothingComposedError as error:
        step.block(topic, error.message)
    except HubError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug about one name must not delay the others
        bug = Bug.of(error)
        _log.error("a bug of the hub: no record of %s can be composed: %s", name, bug)
        step.block(topic, f"a bug of the hub: {bug.line}")


def step_done(connection: Connection, step: Step, any_aside: bool, any_blocked: bool) -> tuple[bool, frozenset[str]]:
    """Store that a step was sent; return whether anything is set aside now, and the blocked topics.

    Args:
        connection: in a transaction, which stores all of it or none.
        step: with what was refused while composing and sending.
        any_aside: whether anything was set aside before.
        any_blocked: whether any topic was blocked before.
    """
    refused = step.all_refused()
    for item, why in refused:
        _log.warning("set aside: %s of %s: %s, %s", item.item, item.topic, why.reason.value, why.detail)
    note_refused(connection, refused)
    if any_aside or refused:
        close_published(connection, step.sent(), refused)
        for topic, items in step.gone.items():
            close_items(connection, topic, items)
        any_aside = settle_alert(connection)
    if step.page is not None:
        move_request(connection, step.page)
        request = step.page.request
        if step.page.is_last and request.keys is None and request.topic_id is not None:
            accept_id(connection, request.topic, request.topic_id)
    blocked: Mapping[str, BlockedTopic] = {}
    for trial in step.trials:
        store_trial(connection, trial)
    for topic, reason in step.withheld.items():
        store_block(connection, topic, step.spans, reason, topic in step.tried)
    if any_blocked or step.withheld:
        blocked = settle_blocked_alerts(connection)
    move_positions(connection, step.spans, [one.name for one in blocked.values()])
    return any_aside, frozenset(blocked)


def clock_of(connection: Connection) -> datetime:
    """Return the time by the database's clock."""
    return connection.execute(select(func.now())).scalar_one()
