"""Rename the archive of a log: needed when the log is closed and its topic's name goes to a new log."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path

from hub.operate.archive.files import Manifest, read_manifests
from hub.operate.archive.folder import alone, sync_folder


def move_archived(archive: Path, topic: str, partitions: Collection[int] | None, closed: str) -> list[Manifest]:
    """Give the archived files of some partitions (None: all) another topic's name; return their manifests.

    If this is interrupted, each file still counts under one of the two names; run it again to do the rest.

    Raises:
        RetryableError: another run is writing to the archive.
        DamagedArchiveError: a manifest cannot be read.
    """
    moved = []
    with alone(archive):
        for one in read_manifests(archive, topic):
            if partitions is None or one.partition in partitions:
                moved.append(_move(archive, one, replace(one, topic=closed)))
    return moved


def _move(archive: Path, old: Manifest, new: Manifest) -> Manifest:
    before, after = old.path(archive), new.path(archive)
    after.parent.mkdir(parents=True, exist_ok=True)
    if not after.exists():
        os.link(before, after)
    said = after.with_suffix(".json")
    said.write_text(json.dumps(asdict(new), indent=1))
    with said.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(after.parent)
    before.with_suffix(".json").unlink()
    before.unlink()
    sync_folder(before.parent)
    return new
