"""The folder of the archive: one run at a time writes to it, and what counts is synced to disk."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.model.errors import RetryableError

_READ_BYTES = 1 << 20


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def alone(archive: Path) -> Iterator[None]:
    """Allow only one run at a time to write to an archive.

    Raises:
        RetryableError: another run is writing.
    """
    archive.mkdir(parents=True, exist_ok=True)
    with (archive / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RetryableError(f"another run is writing to the archive {archive}") from error
        yield


def sync_folder(folder: Path) -> None:
    """Sync a folder's list of files to disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
