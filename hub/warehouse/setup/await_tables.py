"""Wait until the warehouse's tables exist, for processes that run until they are stopped.

A short command instead reports that ``hub db migrate`` creates them, and ends.
"""

from sqlalchemy import Engine

from hub.model.errors import NotMigratedError, RetryableError
from hub.retry import ENVIRONMENT
from hub.waiting import Waiting
from hub.warehouse.setup.migrate import check_migrated


def wait_until_migrated(engine: Engine, schema: str, for_tables: bool = True) -> None:
    """Return when the schema is what this version of the hub needs; the log says what it waits for, and since when.

    Args:
        engine: its connections need no role, because roles are created with the tables.
        schema: the warehouse's.
        for_tables: also wait for missing tables; False: wait only for an unreachable database.

    Raises:
        NotMigratedError: the tables do not exist, and ``for_tables`` is False.
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
