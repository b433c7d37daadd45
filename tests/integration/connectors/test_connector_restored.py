"""A source that is not the one that was read: restored from a copy, while the connector's position lies elsewhere."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from connectors.base.port import Position
from connectors.declared.load import parse_declaration
from connectors.opening import connectors_of, open_context
from connectors.streams.sql import SqlConnector
from connectors.testing import MemoryPublisher, catch_up
from hub.embedded.accounts import account_for, own_folder
from hub.embedded.ports import choose
from hub.embedded.postgres import binaries

SECRET = "a secret of the tests only"  # noqa: S105 - protects nothing
DECLARATION = """
[source]
code = "test.source"
agency = "H25"
unit_scheme = "GSO_2025"
url_env = "SOURCE_URL"
[state]
url = "sqlite:///{folder}/state.db"
[[stream]]
name = "s"
connector = "table"
subject = "dossier.progressed"
table = "ho_so"
key = ["ma"]
version = "ban"
changed_at = "luc"
[stream.fields]
dossier_code = "ma"
status = {{ column = "tt", words = {{ "1" = "REGISTERED" }} }}
"""
TABLE = (
    "CREATE TABLE ho_so (ma text PRIMARY KEY, ban int DEFAULT 1, luc timestamptz DEFAULT now(), tt text DEFAULT '1')"
)


class Servers:
    """Servers of one history: folders that are copied while none runs."""

    def __init__(self, folder: Path) -> None:
        own_folder(folder)
        self._folder = folder
        self._binaries = binaries()
        self._account = account_for(self._binaries / "postgres", folder)
        (self.port,) = choose(1)
        self._account.run(
            [
                *(str(self._binaries / "initdb"), "-D", str(folder / "a"), "--username", "src", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C"),
            ]
        )

    def copy(self, name: str, to: str) -> None:
        """Copy a server's folder."""
        shutil.copytree(self._folder / name, self._folder / to)
        owner = (self._folder / name).stat()
        for path in (self._folder / to, *(self._folder / to).rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        (self._folder / to).chmod(0o700)

    def write(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with self._connected() as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Run a server."""
        user, group = self._account.ids or (None, None)
        command = [
            *(*self._account.prefix, str(self._binaries / "postgres"), "-D", str(self._folder / name)),
            *("-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
        ]
        server = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
        try:
            self._wait()
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host="127.0.0.1", port=self.port, user="src", dbname="postgres", autocommit=True)

    def _wait(self) -> None:
        for _ in range(300):
            try:
                self._connected().close()
            except psycopg.Error:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError("the server does not answer")


@pytest.fixture
def servers() -> Iterator[Servers]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server runs as another user
        yield Servers(folder / "servers")


@pytest.fixture
def opened(servers: Servers, tmp_path: Path) -> Callable[[], SqlConnector]:
    def open_again() -> SqlConnector:
        declared = parse_declaration(DECLARATION.format(folder=tmp_path).encode())
        url = f"postgresql+psycopg://src@127.0.0.1:{servers.port}/postgres"
        return connectors_of(open_context(declared, SECRET, {"SOURCE_URL": url}))[0]

    return open_again


def _rows(name: str, count: int) -> list[str]:
    return [f"INSERT INTO ho_so (ma) VALUES ('{name}-{number}')" for number in range(count)]


def _stored(connector: SqlConnector) -> Position:
    with closing(connector):
        stored = connector.stored()
    assert stored is not None
    return stored


def _codes(publisher: MemoryPublisher) -> list[str]:
    return [event["dossier_code"] for event in publisher.events()]


def test_rows_of_a_server_restored_from_a_copy_are_read_although_it_passed_the_position(
    servers: Servers, opened: Callable[[], SqlConnector]
) -> None:
    with servers.running("a"):
        servers.write(TABLE, *_rows("before", 3))
    servers.copy("a", "b")
    with servers.running("a"):
        servers.write(*_rows("lost", 50))
        assert len(_codes(catch_up(opened()))) == 53
    with servers.running("b"):
        servers.write(*_rows("new", 80))
        publisher = catch_up(opened())
        assert {code for code in _codes(publisher) if code.startswith("new")} == {f"new-{n}" for n in range(80)}
        stored = _stored(opened())
        assert isinstance(stored["stepped_back"], dict)
        assert _codes(catch_up(opened())) == []


def test_only_what_was_written_after_the_copy_is_read_again(
    servers: Servers, opened: Callable[[], SqlConnector]
) -> None:
    with servers.running("a"):
        servers.write(TABLE, *_rows("old", 30))
        catch_up(opened())
        servers.write("UPDATE ho_so SET ban = 2 WHERE ma = 'old-7'")
        assert _codes(catch_up(opened())) == ["old-7"]
    servers.copy("a", "b")
    with servers.running("a"):
        servers.write(*_rows("lost", 20))
        catch_up(opened())
    with servers.running("b"):
        servers.write(*_rows("new", 40))
        found = set(_codes(catch_up(opened())))
        assert {code for code in found if code.startswith("new")} == {f"new-{number}" for number in range(40)}
        assert not found & {f"old-{number}" for number in range(7)}


def test_server_that_was_only_started_again_is_read_on(servers: Servers, opened: Callable[[], SqlConnector]) -> None:
    with servers.running("a"):
        servers.write(TABLE, *_rows("old", 30))
        catch_up(opened())
    with servers.running("a"):
        servers.write("UPDATE ho_so SET ban = 2 WHERE ma = 'old-29'", *_rows("new", 2))
        publisher = catch_up(opened())
        assert set(_codes(publisher)) == {"old-29", "new-0", "new-1"}
        stored = _stored(opened())
        assert "stepped_back" not in stored


def test_first_full_read_begins_anew_when_another_server_answers(
    servers: Servers, opened: Callable[[], SqlConnector]
) -> None:
    with servers.running("a"):
        servers.write(TABLE, *_rows("old", 3))
    servers.copy("a", "b")
    with servers.running("a"):
        servers.write(*_rows("lost", 3))
        connector = opened()
        with closing(connector), closing(connector.snapshot(connector.stored())) as pages:  # type: ignore[type-var]
            connector.checkpoint(next(iter(pages)))
    with servers.running("b"):
        servers.write("INSERT INTO ho_so (ma) VALUES ('a-row-before')", *_rows("passed", 10))
        assert "a-row-before" in _codes(catch_up(opened()))
