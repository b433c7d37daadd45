"""A MariaDB server of the tests' own: a process, a data folder, a free port on loopback, as whoever runs the tests.

``make parts`` installs it where apt is at hand. Where it is not installed, the tests that need it are left out, and the
summary at the end of the run says which and why.
"""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

START_S = 120.0
HOW = "make parts (installs mariadb-server with apt), or install MariaDB's server yourself"
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"))


@dataclass(frozen=True, slots=True)
class RunningMariaDB:
    """The session's server. ``url``: of its administrator, without a database."""

    url: str

    def create_database(self, name: str) -> str:
        """Create a database and return its URL."""
        self._administer(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"{self.url}{name}"

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there."""
        self._administer(f"DROP DATABASE IF EXISTS {name}")

    def _administer(self, statement: str) -> None:
        with create_engine(self.url, poolclass=NullPool).begin() as connection:
            connection.execute(text(statement))


def programs() -> tuple[str, str] | None:
    """Return the server and the program that makes its data folder; None when they are not installed."""
    server = shutil.which("mariadbd", path=_PATH)
    install = shutil.which("mariadb-install-db", path=_PATH)
    return (server, install) if server and install else None


@contextmanager
def running(folder: Path) -> Iterator[RunningMariaDB]:
    """Run a server whose data is in a folder."""
    found = programs()
    if found is None:
        raise LookupError(f"MariaDB's server is not installed: {HOW}")
    server, install = found
    data, log = folder / "data", folder / "log"
    # a name of a socket has 107 bytes at most, and the tests' folders are deep
    common = [f"--datadir={data}", f"--user={getpass.getuser()}"]
    made = [install, "--no-defaults", *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(made, check=True, capture_output=True, timeout=START_S)
    password, port = secrets.token_urlsafe(18), _free_port()
    first = folder / "first.sql"
    first.write_text(
        f"CREATE USER 'hub'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO 'hub'@'127.0.0.1' WITH GRANT OPTION;\nDROP USER 'root'@'localhost';\n",
        encoding="utf-8",
    )
    first.chmod(0o600)
    options = [f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", f"--init-file={first}"]
    small = ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=64M"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [server, "--no-defaults", *common, *options, *small, "--socket=s", f"--pid-file={folder / 'pid'}"],
            stdout=out,
            stderr=out,
            cwd=folder,
        )
        try:
            found_server = RunningMariaDB(f"mysql+pymysql://hub:{password}@127.0.0.1:{port}/")
            _wait(found_server, process, log)
            yield found_server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(server: RunningMariaDB, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_S
    while True:
        try:
            server.create_database("ready")
        except OperationalError as error:
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"MariaDB did not start: {log.read_text(errors='replace')[-2000:]}") from error
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
