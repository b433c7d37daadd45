"""Turn polled records into a batch that can be committed: decode, check, order, and collect the refused records.

Pure except for the decoder's child process: no broker, no database. The live stream, replays and tests all prepare
their batches here.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat

import polars as pl

from hub.codec.catalogue import Catalogue, load_catalogue, reload_catalogue
from hub.intake.checks.check import SourceRules, check, outcome_column
from hub.intake.checks.derived import identity_links
from hub.intake.decode.decoder import Decoded, GuardedDecoder, Poison
from hub.model.entities import SUBJECTS
from hub.model.errors import HubError
from hub.model.outcomes import OUTCOME_OF_REASON, Reason
from hub.reconcile.parking.releasing import Releasable
from hub.reconcile.shared.event_order import with_event_order
from hub.reconcile.shared.stage import with_stage
from hub.topology import subject_of
from hub.warehouse.batch import NO_AUDIT_ROWS, NO_DEAD_LETTERS, Accepted, Advance, Batch, audit_rows
from hub.warehouse.dead_letters import dead_letters
from hub.warehouse.tables.entities import aspect_tables


@dataclass(frozen=True, slots=True)
class Polled:
    """The records of one log partition, in offset order.

    Fields:
        expected: the stored offset that they follow.
        after: where to continue reading, if transaction markers follow the last record; -1 if none do.
        unreadable: for each offset whose bytes do not form a record: why.
    """

    log: int
    topic: str
    partition: int
    expected: int
    offsets: Sequence[int]
    keys: Sequence[bytes | None] = field(repr=False)
    values: Sequence[bytes | None] = field(repr=False)
    after: int = -1
    unreadable: Mapping[int, str] = field(default_factory=dict)

    @property
    def next_offset(self) -> int:
        """The offset to store when these records are durable."""
        return max(self.after, self.offsets[-1] + 1 if self.offsets else self.expected)


_PLACES = pl.Schema({"row": pl.UInt32(), "log_offset": pl.Int64(), "key": pl.Binary(), "log": pl.Int16()})


class Preparer:
    """Prepares batches with one decoder child, one policy and one key secret."""

    def __init__(self, decoder: GuardedDecoder, sources: SourceRules, secret: str) -> None:
        self._decoder = decoder
        self._sources = sources
        self._secret = secret
        self._catalogue = load_catalogue()

    def prepare(self, polled: Sequence[Polled]) -> Batch:
        """Return the batch of some partitions' records; each record is in it exactly once."""
        accepted: list[Accepted] = []
        refused: list[pl.DataFrame] = []
        letters: list[pl.DataFrame] = []
        for subject in sorted({subject_of(part.topic) for part in polled if part.offsets}):
            parts = [part for part in polled if part.offsets and subject_of(part.topic) == subject]
            rows = self._prepare_subject(subject, parts)
            if not rows.accepted.frame.is_empty():
                accepted.append(rows.accepted)
            refused.append(rows.refused)
            letters.append(rows.dead_letters)
        advances = tuple(
            Advance(part.log, part.topic, part.partition, part.expected, part.next_offset, len(part.offsets))
            for part in polled
            if part.next_offset > part.expected
        )
        return Batch(
            advances,
            tuple(accepted),
            _together(refused, NO_AUDIT_ROWS),
            _together(letters, NO_DEAD_LETTERS),
        )

    def prepare_released(self, records: Sequence[Releasable]) -> Batch:
        """Return the batch of records that were parked; it moves no offset."""
        by_log: dict[int, list[Releasable]] = {}
        for record in records:
            by_log.setdefault(record.log, []).append(record)
        polled = [
            Polled(
                log,
                of_log[0].topic,
                of_log[0].partition,
                of_log[0].log_offset,
                [record.log_offset for record in of_log],
                [record.key for record in of_log],
                [record.value for record in of_log],
            )
            for log, of_log in sorted(by_log.items())
        ]
        let_in = frozenset((record.log, record.log_offset) for record in records if record.let_in)
        return replace(self.prepare(polled), advances=(), released=True, let_in=let_in)

    def prepare_again(self, polled: Sequence[Polled]) -> Batch:
        """Prepare after reading the schemas again: a version may have been published since.

        Raises:
            HubError: a version has fields that the tables lack; a restarted worker adds them.
        """
        self._catalogue = reload_catalogue()
        for subject in sorted({subject_of(part.topic) for part in polled}):
            _check_columns(subject, self._catalogue)
        self._decoder.close()
        return self.prepare(polled)

    def _prepare_subject(self, subject: str, parts: Sequence[Polled]) -> "_Rows":
        values = [value for part in parts for value in part.values] if len(parts) > 1 else list(parts[0].values)
        places = _places(parts)
        decoded = self._decoder.decode(subject, values)
        if any(part.unreadable for part in parts):
            decoded = without_unreadable(decoded, parts)
        entity, aspect = SUBJECTS[subject]
        version = self._catalogue.latest(subject)
        placed = _placed(decoded.frame, places)
        checked = check(placed, version, entity, aspect, self._sources, self._secret)
        passed = with_event_order(checked.passed, aspect_tables(subject).identity)
        links = identity_links(passed, entity, aspect, self._secret)
        accepted = with_stage(Accepted(subject, passed, values, links=links))
        if checked.refused.is_empty() and not decoded.poison:
            return _Rows(accepted, NO_AUDIT_ROWS, NO_DEAD_LETTERS)
        wrong = checked.refused.with_columns(outcome=outcome_column())
        refused = pl.concat([audit_rows(wrong), _poison_rows(decoded.poison, places)])
        letters = dead_letters(refused, places, values, {item.row: item.schema_id for item in decoded.poison})
        return _Rows(accepted, refused, letters)


def set_aside(part: Polled, reason: Reason, detail: str) -> Batch:
    """Return the batch in which every record of a partition is a dead letter, for a reason that no check found."""
    places = _places([part])
    poison = [Poison(row, reason, None, detail) for row in range(len(part.offsets))]
    refused = _poison_rows(poison, places)
    letters = dead_letters(refused, places, part.values, {})
    advance = Advance(part.log, part.topic, part.partition, part.expected, part.next_offset, len(part.offsets))
    return Batch((advance,), (), refused, letters)


def _check_columns(subject: str, catalogue: Catalogue) -> None:
    """Refuse to continue if fields of a new version would be lost silently."""
    version = catalogue.latest(subject)
    known = {spec.name for spec in aspect_tables(subject).data}
    added = [spec.name for spec in version.data_fields if spec.name not in known]
    if added:
        raise HubError(
            f"version {version.number} of {subject} has fields that the tables lack ({', '.join(added)}): "
            "restart the worker, which adds them"
        )


def without_unreadable(decoded: Decoded, parts: Sequence[Polled]) -> Decoded:
    """Turn records whose bytes in the log are not readable into poison, even if their values can be decoded."""
    rows: dict[int, str] = {}
    first = 0
    for part in parts:
        rows |= {first + bisect_left(part.offsets, offset): why for offset, why in part.unreadable.items()}
        first += len(part.offsets)
    poison = [one for one in decoded.poison if one.row not in rows]
    poison += [Poison(row, Reason.UNREADABLE_RECORD, None, why) for row, why in rows.items()]
    frame = decoded.frame.filter(~pl.col("row").is_in(list(rows)))
    return Decoded(frame, tuple(sorted(poison, key=lambda one: one.row)), decoded.path)


@dataclass(frozen=True, slots=True)
class _Rows:
    accepted: Accepted
    refused: pl.DataFrame
    dead_letters: pl.DataFrame


def _places(parts: Sequence[Polled]) -> pl.DataFrame:
    """Return one row per record, in order: row, log, log_offset, key."""
    columns = {
        "row": pl.int_range(sum(len(part.offsets) for part in parts), dtype=pl.UInt32, eager=True),
        "log_offset": list(chain.from_iterable(part.offsets for part in parts)),
        "key": list(chain.from_iterable(part.keys for part in parts)),
        "log": list(chain.from_iterable(repeat(part.log, len(part.offsets)) for part in parts)),
    }
    return pl.DataFrame(columns, schema=_PLACES)


def _placed(decoded: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Add each decoded row's place; if every record was decoded, the rows are already in the same order."""
    if decoded.height == places.height:
        return decoded.hstack(places.get_columns()[1:])
    return decoded.join(places, on="row", how="left", maintain_order="left")


def _together(frames: Sequence[pl.DataFrame], nothing: pl.DataFrame) -> pl.DataFrame:
    filled = [frame for frame in frames if not frame.is_empty()]
    return pl.concat(filled) if filled else nothing


def _poison_rows(poison: Sequence[Poison], places: pl.DataFrame) -> pl.DataFrame:
    if not poison:
        return NO_AUDIT_ROWS
    found = pl.DataFrame(
        {
            "row": [item.row for item in poison],
            "reason": [item.reason.value for item in poison],
            "detail": [item.detail for item in poison],
            "outcome": [OUTCOME_OF_REASON[item.reason].value for item in poison],
        },
        schema={"row": pl.UInt32, "reason": pl.String, "detail": pl.String, "outcome": pl.String},
    )
    return audit_rows(found.join(places, on="row", how="left", maintain_order="left"))
