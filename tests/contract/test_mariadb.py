"""The acceptance suite of connectors on MariaDB, read by the overlap window."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from connectors.base.port import Connector
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.testing import ConnectorAcceptance, Writer
from tests.contract.test_connectors import HEAD, SECRET, TABLE

LOCAL = {"init_command": "SET time_zone = '+07:00'"}


class MariaWriter:
    """Writes the rows of a table."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, key: str, version: int, is_good: bool = True) -> None:
        """Insert or change."""
        self._write(key, version, is_good, False)

    def revoke(self, key: str, version: int) -> None:
        """Delete softly."""
        self._write(key, version, True, True)

    def _write(self, key: str, version: int, is_good: bool, is_deleted: bool) -> None:
        self._connection.execute(
            text(
                "INSERT INTO ho_so (ma, phien_ban, co_quan, trang_thai, da_xoa) VALUES (:ma, :ban, :co, 'Mới', :xoa)"
                " ON DUPLICATE KEY UPDATE phien_ban = :ban, co_quan = :co, da_xoa = :xoa, luc = now(6)"
            ),
            {"ma": key, "ban": version, "co": "A" if is_good else "?", "xoa": is_deleted},
        )


class MariaSource:
    """A source in a database of its own, read by a user of its own."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool, connect_args=LOCAL)
        self._user = f"u{make_url(url).database}"[:30]
        name = make_url(url).database
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "CREATE TABLE ho_so (ma varchar(50) PRIMARY KEY, phien_ban bigint NOT NULL,"
                    " luc datetime(6) NOT NULL DEFAULT now(6), da_xoa boolean NOT NULL DEFAULT false,"
                    " co_quan text, trang_thai text, KEY (luc))"
                )
            )
            connection.execute(text(f"CREATE USER {self._user}@'127.0.0.1' IDENTIFIED BY 'reader'"))
            connection.execute(text(f"GRANT ALL ON {name}.* TO {self._user}@'127.0.0.1'"))
        reader = make_url(url).set(username=self._user, password="reader")  # noqa: S106 - protects nothing
        self.url = reader.render_as_string(hide_password=False)

    def connector(self, page_rows: int = 3) -> Connector:
        """Open the connector."""
        declared = parse_declaration((HEAD.format(page_rows=page_rows) + TABLE).encode())
        return connectors_of(open_context(declared, SECRET, {"SOURCE_URL": self.url}))[0]

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """Begin a transaction."""
        with self._engine.begin() as connection:
            yield MariaWriter(connection)

    def stop(self) -> None:
        """Refuse and end all connections of the reader."""
        with self._engine.connect() as connection:
            connection.execute(text(f"ALTER USER {self._user}@'127.0.0.1' WITH MAX_CONNECTIONS_PER_HOUR 1"))
            connection.execute(text(f"KILL USER {self._user}@'127.0.0.1'"))

    def start(self) -> None:
        """Let connections in again."""
        with self._engine.connect() as connection:
            connection.execute(text(f"ALTER USER {self._user}@'127.0.0.1' WITH MAX_CONNECTIONS_PER_HOUR 0"))
            connection.execute(text("FLUSH USER_RESOURCES"))


class TestTableOfMariaDB(ConnectorAcceptance):
    """``table`` on MariaDB."""

    @pytest.fixture
    def source(self, mariadb_url: str) -> MariaSource:
        """A source of this kind."""
        return MariaSource(mariadb_url)
