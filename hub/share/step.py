"""One step of share: new changes of the audit log, a page of a request, and records that were set aside before.

``next_step`` reads and composes, ``step_done`` stores the result. Each runs in the caller's transaction; the records
are sent between the two.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, select

from hub.share.composing import Composes, compose_each
from hub.share.outbox import Span, changes_in, move_positions, open_spans
from hub.share.outgoing import Outgoing, copy_of_letter, golden_record
from hub.share.publisher import Refused
from hub.share.republish import Page, move_request, next_page, open_requests
from hub.share.set_aside import asides_to_try, close_items, close_published, letters_at, note_refused, settle_alert
from hub.share.stamp import Stamp, stamp_of
from hub.share.topics import accept_id
from hub.topology import record_topics

_log = logging.getLogger(__name__)
KEYS_AT_ONCE = 5_000


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
    """

    spans: Sequence[Span] = ()
    page: Page | None = None
    outgoing: list[Outgoing] = field(default_factory=list)
    refused: Refused = field(default_factory=list)
    gone: dict[str, list[str]] = field(default_factory=dict)
    tried_again: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.spans and self.page is None and not self.tried_again


def next_step(
    connection: Connection,
    composers: Mapping[str, Composes],
    try_again_before: datetime | None = None,
    any_request: bool = False,
) -> Step:
    """Return what to publish next, composed from what is stored now.

    Args:
        connection: in a transaction.
        composers: by the names of ``record_topics``.
        try_again_before: retry records that were set aside and last tried before this time; None: none.
        any_request: whether to look for requests to publish again.

    Raises:
        RetryableError: nothing can be composed at all.
    """
    step = Step(open_spans(connection))
    requests = open_requests(connection) if any_request else []
    if not step.spans and not requests and try_again_before is None:
        return step
    changes = changes_in(connection, step.spans)
    places = {span.log: span for span in step.spans}
    stamp = stamp_of(clock_of(connection), changes, step.spans)
    step.outgoing += [
        copy_of_letter(*_place(places, letter.log), letter, stamp.published) for letter in changes.dead_letters
    ]
    keys = {name: set(found) for name, found in changes.keys.items()}
    if try_again_before is not None:
        _add_asides(connection, step, keys, try_again_before, stamp)
    if requests:
        step.page = next_page(connection, requests[0])
        step.outgoing += [copy_of_letter(one.topic, one.partition, one, stamp.published) for one in step.page.letters]
        if step.page.keys:
            keys.setdefault(requests[0].name, set()).update(step.page.keys)
    for name, found in keys.items():
        _compose(connection, composers[name], name, sorted(found), step, stamp)
    return step


def _place(places: Mapping[int, Span], log: int) -> tuple[str, int]:
    return places[log].topic, places[log].partition


def _add_asides(connection: Connection, step: Step, keys: dict[str, set[UUID]], before: datetime, stamp: Stamp) -> None:
    """Add records that were set aside to the keys and letters of a step."""
    asides = asides_to_try(connection, before)
    step.tried_again = bool(asides)
    names = {topic: name for name, topic in record_topics().items()}
    letters = []
    for one in asides:
        if one.key is not None and one.topic in names:
            keys.setdefault(names[one.topic], set()).add(one.key)
        else:
            letters.append(one)
    known = {item.item for item in step.outgoing}
    found = letters_at(connection, [one.item for one in letters])
    for one in letters:
        if one.item not in found:
            step.gone.setdefault(one.topic, []).append(one.item)
        elif one.item not in known:
            letter = found[one.item]
            step.outgoing.append(copy_of_letter(letter.topic, letter.partition, letter, stamp.published))


def _compose(
    connection: Connection, composer: Composes, name: str, keys: Sequence[UUID], step: Step, stamp: Stamp
) -> None:
    topic = record_topics()[name]
    for first in range(0, len(keys), KEYS_AT_ONCE):
        composed = compose_each(composer, connection, keys[first : first + KEYS_AT_ONCE])
        headers = stamp.headers(connection, name, composed.values)
        step.outgoing += [golden_record(topic, key, value, headers[key]) for key, value in composed.values.items()]
        step.refused += [(golden_record(topic, key, None), why) for key, why in composed.refused.items()]


def step_done(connection: Connection, step: Step, any_aside: bool) -> bool:
    """Store that a step was sent; return whether anything is set aside now.

    Args:
        connection: in a transaction, which stores all of it or none.
        step: with what was refused while composing and sending.
        any_aside: whether anything was set aside before.
    """
    for item, why in step.refused:
        _log.warning("set aside: %s of %s: %s, %s", item.item, item.topic, why.reason.value, why.detail)
    note_refused(connection, step.refused)
    if any_aside or step.refused:
        close_published(connection, step.outgoing, step.refused)
        for topic, items in step.gone.items():
            close_items(connection, topic, items)
        any_aside = settle_alert(connection)
    if step.page is not None:
        move_request(connection, step.page)
        request = step.page.request
        if step.page.is_last and request.keys is None and request.topic_id is not None:
            accept_id(connection, request.topic, request.topic_id)
    move_positions(connection, step.spans)
    return any_aside


def clock_of(connection: Connection) -> datetime:
    """Return the time by the database's clock."""
    return connection.execute(select(func.now())).scalar_one()
