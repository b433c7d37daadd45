"""The file of a state that is an SQLite database: is it whole, and can it be written?

For SQLite a file of 0 bytes is an empty database. So a state that was cut off would look like a new one.
"""

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from connectors.memory.positions import damaged
from hub.model.errors import ConfigError

MOST_CHECKED_BYTES = 256 * 1_048_576
"""A larger file is not checked with PRAGMA integrity_check, which reads all of it."""


class StateFile:
    """The file of an engine; an engine without a file passes every check."""

    def __init__(self, engine: Engine) -> None:
        """Take the state's engine; opens nothing."""
        self._engine = engine
        name = engine.url.database if engine.dialect.name == "sqlite" else None
        is_file = name and name != ":memory:" and not name.startswith("file:")
        self.path = Path(name) if name and is_file else None

    @property
    def what(self) -> str:
        """Names the state in messages."""
        return f"connector's state, file {self.path}" if self.path else "connector's state"

    @property
    def is_absent(self) -> bool:
        """Whether there is no file yet; opening the database would create one."""
        return self.path is not None and not self.path.exists()

    def note_made(self) -> None:
        """Note beside the file that it has tables."""
        mark = self._mark()
        if mark is not None and not mark.exists():
            # without this mark, only a file that was cut to 0 bytes would not be found out
            with suppress(OSError):
                mark.touch()

    def _mark(self) -> Path | None:
        return None if self.path is None else self.path.with_name(f".{self.path.name}.made")

    def require_whole(self, table: str) -> None:
        """Check that the file is whole; ``table``: a table that exists if any does.

        Raises:
            ConfigError: it is damaged.
            DBAPIError: SQLite finds the damage itself, or cannot read the file.
        """
        if self.path is None or not self.path.exists():
            return
        mark, size = self._mark(), self.path.stat().st_size
        was_made = mark is not None and mark.exists()
        if not size:
            if was_made:
                raise damaged(self.what, "the file is empty, and it was not")
            return
        with self._engine.connect() as connection:
            if was_made and not connection.dialect.has_table(connection, table):
                raise damaged(self.what, f"its table {table} is gone")

            def told(pragma: str) -> object:
                return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

            wanted = int(str(told("page_size"))) * int(str(told("page_count")))
            if size < wanted and told("journal_mode") != "wal":
                raise damaged(self.what, f"the file is cut off, {size:,} of {wanted:,} bytes")
            if size <= MOST_CHECKED_BYTES and told("integrity_check(1)") != "ok":
                raise damaged(self.what, "PRAGMA integrity_check fails")

    def require_writable(self) -> None:
        """Check that the file can be written or created; writes nothing.

        Raises:
            ConfigError: it cannot be created.
            DBAPIError: it cannot be written.
        """
        if self.path is None:
            return
        if self.is_absent:
            folder = self.path.absolute().parent
            if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
                raise ConfigError(
                    [f"{self.what}: it cannot be created: its folder does not exist or cannot be written"]
                )
            return
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.exec_driver_sql("ROLLBACK")
