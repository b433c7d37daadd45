"""Write stretches of the event topics to the archive, check them, and delete the archived records from the topics.

A run goes partition by partition, file by file, and may be killed at any time: a file with a manifest counts, others
are written again. A separate consumer reads the records; memory holds one row group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from sqlalchemy import Engine

from hub.log.clients import log_admin
from hub.log.odd import OddRecord, is_damage
from hub.log.reader import log_reader
from hub.model.errors import HubError
from hub.operate.actions import Action, note
from hub.operate.archive.files import (
    DamagedArchiveError,
    Manifest,
    Rows,
    StretchWriter,
    alone,
    check_content,
    file_hash,
    read_manifests,
    remove_leftovers,
)
from hub.operate.archive.plan import ArchiveStretch
from hub.operate.archive.reader import archived_ranges
from hub.warehouse.database import translated_errors

DELETE = "archive_delete"
"""Archived records were deleted from their topics; the detail says up to which offsets."""

OFFSETS_PER_FILE = 500_000
_MOST_BYTES = 512 * 1_048_576
_GROUP_RECORDS = 20_000
_GROUP_BYTES = 16 * 1_048_576
_QUIET_POLLS = 20

Progress = Callable[[int, int], None]
"""Receives how many records are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class ArchiveRun:
    """What a run did: the files it wrote, and the leftovers of killed runs that it removed."""

    written: tuple[Manifest, ...]
    removed: tuple[str, ...]


def run_archive(
    bootstrap: str,
    archive: Path,
    stretches: Sequence[ArchiveStretch],
    progress: Progress = lambda done, of: None,
    per_file: int = OFFSETS_PER_FILE,
) -> ArchiveRun:
    """Write the stretches of a plan, at most ``per_file`` offsets into one file.

    Raises:
        UnreachableError: no broker answers.
        RetryableError: another run is writing to the archive.
        DamagedArchiveError: a file that was read back differs from what was written.
    """
    total = sum(one.end - one.first for one in stretches)
    written: list[Manifest] = []
    with alone(archive):
        removed = remove_leftovers(archive)
        done = 0
        for one in stretches:
            if one.first == one.end:
                continue
            with log_reader(bootstrap) as consumer:
                for manifest in _files(consumer, archive, one, per_file):
                    written.append(manifest)
                    done += manifest.end - manifest.first
                    progress(done, total)
    return ArchiveRun(tuple(written), tuple(removed))


def _files(consumer: KafkaConsumer, archive: Path, stretch: ArchiveStretch, per_file: int) -> Iterator[Manifest]:
    place = TopicPartition(stretch.topic, stretch.partition)
    consumer.assign([place])
    first = stretch.first
    while first < stretch.end:
        end = min(stretch.end, first + per_file)
        consumer.seek(place, first)
        lost = stretch.lost_before if first == stretch.first else 0
        with StretchWriter(archive, stretch.topic, stretch.partition, first, stretch.topic_id, lost) as writer:
            for group in _groups(consumer, place, first, end):
                writer.add(group)
                if writer.bytes >= _MOST_BYTES:
                    end = group.offsets[-1] + 1
                    break
            yield writer.finish(end)
        first = end


def _groups(consumer: KafkaConsumer, place: TopicPartition, first: int, end: int) -> Iterator[Rows]:
    """Yield the records of a stretch in row groups; raises HubError if the log returns no more before its end."""
    held: list[Any] = []
    held_bytes = quiet = 0
    at = first
    while at < end:
        records = consumer.poll(timeout_ms=250, max_records=_GROUP_RECORDS).get(place, [])
        quiet = 0 if records else quiet + 1
        if quiet > _QUIET_POLLS:
            raise HubError(f"{place.topic}/{place.partition}/{at}: the log gives nothing more before {end}")
        at = max(consumer.position(place), records[-1].offset + 1 if records else at)
        # Damaged bytes are not a record, and the hub recorded that it read past them: the file has no row for them.
        inside = [record for record in records if record.offset < end and not is_damage(record)]
        held += inside
        held_bytes += sum(len(record.value or b"") for record in inside)
        if held and (len(held) >= _GROUP_RECORDS or held_bytes >= _GROUP_BYTES or at >= end):
            yield _rows(held)
            held, held_bytes = [], 0


def _rows(records: Sequence[Any]) -> Rows:
    return Rows(
        [record.offset for record in records],
        [record.timestamp for record in records],
        [record.key for record in records],
        [record.value for record in records],
        [tuple(record.headers or ()) for record in records],
        [record.why if isinstance(record, OddRecord) else "" for record in records],
    )


def verify_archive(
    archive: Path, topic: str | None = None, progress: Progress = lambda done, of: None
) -> tuple[list[Manifest], list[str]]:
    """Check every file against its manifest; return the manifests, and in words what is wrong."""
    manifests = read_manifests(archive, topic)
    total, done = sum(of.records for of in manifests), 0
    problems = []
    for of in manifests:
        try:
            check_file(archive, of)
        except DamagedArchiveError as error:
            problems.append(error.message)
        done += of.records
        progress(done, total)
    for before, after in pairwise(manifests):
        is_same_log = (before.topic, before.partition) == (after.topic, after.partition)
        if is_same_log and before.end != after.first - after.lost_before:
            word = "overlaps" if after.first < before.end else "is not joined to"
            problems.append(f"{before.topic}/{before.partition}/{after.first} {word} what ends at {before.end}")
    return manifests, problems


def check_file(archive: Path, manifest: Manifest) -> None:
    """Compare a file with its manifest, as a whole and record by record; raises DamagedArchiveError."""
    path = manifest.path(archive)
    if file_hash(path) != manifest.sha256:
        raise DamagedArchiveError(f"{path}: its hash is not that of its manifest")
    check_content(path, manifest)


@dataclass(frozen=True, slots=True)
class Deletion:
    """Records of one log partition that may be deleted: those before an offset, and how many offsets that is."""

    topic: str
    partition: int
    before: int
    offsets: int


def deletions(archive: Path, stretches: Sequence[ArchiveStretch]) -> list[Deletion]:
    """Return what the archive now holds, and may be deleted from the topics; reads no file yet."""
    found = []
    for one in stretches:
        held = [of for of in archived_ranges(archive, one.topic, one.partition) if of.first <= one.log_begin < of.end]
        before = one.deletable(held[0].end) if held else one.log_begin
        if before > one.log_begin:
            found.append(Deletion(one.topic, one.partition, before, before - one.log_begin))
    return found


def delete_archived(
    engine: Engine, bootstrap: str, archive: Path, stretches: Sequence[ArchiveStretch], why: Action
) -> list[Deletion]:
    """Delete from the topics what the archive holds, after checking each of its files again.

    The action is recorded before anything is deleted.

    Raises:
        DamagedArchiveError: a file that holds deletable records is damaged; nothing is deleted.
        HubError: the cluster refuses.
    """
    with alone(archive):
        found = deletions(archive, stretches)
        begins = {(one.topic, one.partition): one.log_begin for one in stretches}
        for one in found:
            for of in read_manifests(archive, one.topic, one.partition):
                if of.first < one.before and of.end > begins[one.topic, one.partition]:
                    check_file(archive, of)
        if not found:
            return []
        detail = {f"{one.topic}/{one.partition}": one.before for one in found}
        with translated_errors("noting what is deleted"), engine.begin() as connection:
            note(connection, Action(why.actor, DELETE, why.purpose, detail={"before": detail}))
        _delete(bootstrap, found)
    return found


def _delete(bootstrap: str, deletions: Sequence[Deletion]) -> None:
    befores = {TopicPartition(one.topic, one.partition): one.before for one in deletions}
    with log_admin(bootstrap, answer_ms=30_000) as client:
        try:
            client.delete_records(befores)
        except KafkaError as error:
            raise HubError(f"the cluster refuses to delete records: {error}") from error
