"""The file of a state that is an SQLite database."""

import os
from pathlib import Path

from sqlalchemy import Engine

from hub.model.errors import ConfigError


def require_writable_file(engine: Engine, what: str) -> None:
    """Find out whether a state's file can be written, or made; nothing is written.

    Args:
        engine: of SQLite.
        what: names the database in messages.

    Raises:
        ConfigError: it cannot be made.
        DBAPIError: it cannot be written.
    """
    name = engine.url.database
    if not name or name == ":memory:":
        return
    file = Path(name)
    if not file.exists():
        folder = file.absolute().parent
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise ConfigError([f"{what}: {file} cannot be made: its folder is not there, or may not be written"])
        return
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("ROLLBACK")
