"""Wait until the warehouse's tables are there, for processes that run until they are stopped.

A short command says instead that ``hub db migrate`` makes them, and ends.
"""

from sqlalchemy import Engine

from hub.model.errors import NotMigratedError, RetryableError
from hub.retry import ENVIRONMENT
from hub.waiting import Waiting
from hub.warehouse.setup.migrate import check_migrated


def wait_until_migrated(engine: Engine, schema: str, for_tables: bool = True) -> None:
    """Return when the schema is what this version of the hub needs; the log says what is waited for, and since when.

    Args:
        engine: whose connections need no role: roles are made with the tables.
        schema: the warehouse's.
        for_tables: wait for tables that are not there; False: only for a database that is away.

    Raises:
        NotMigratedError: the tables are not there, and are not waited for.
        ConfigError: waiting cannot help: no such database, a wrong password.
    """
    waiting = Waiting()
    for attempt in ENVIRONMENT.retrying(before_sleep=waiting.note_retry):
        with attempt:
            try:
                check_migrated(engine, schema)
            except NotMigratedError as error:
                if not for_tables:
                    raise
                raise RetryableError(str(error)) from error
    waiting.goes_on()
