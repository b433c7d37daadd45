"""The stage of the demo: its own engine, warehouse, topics, source databases, and the hub's commands on them."""

import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from hub.config import Settings
from hub.demo import default_policy_path
from hub.demo.children import Child, Children, stop_left_over
from hub.demo.sources import dancu, dungchung, hanam, namdinh, ninhbinh
from hub.demo.sources.load import Rows, copy_rows, create_tables
from hub.demo.story import Story
from hub.embedded.engine import Engine
from hub.embedded.locate import Endpoints
from hub.model.errors import ConfigError
from hub.operate.log.topics import create_topics, plan_topics
from hub.topology import topics
from hub.warehouse.database import open_database, translated_errors
from hub.warehouse.setup.migrate import migrate

Say = Callable[[str], None]

SOURCES = {"dancu": dancu, "hanam": hanam, "namdinh": namdinh, "ninhbinh": ninhbinh, "dungchung": dungchung}
"""Source database: the module with its rows."""

_MARK = ".hub-demo"
_CONNECTOR_LIMIT_S = 180.0
_SCHEMA_WAIT_S = "1"


def declaration(name: str) -> Path:
    """Return the path of the declaration of a demo's source."""
    return Path(__file__).with_name("sources") / f"{name}.toml"


class Stage:
    """Everything that runs for one demo. A context manager: it stops at its end, unless told to keep it."""

    def __init__(self, settings: Settings, say: Say) -> None:
        if settings.kafka_bootstrap or settings.database_url:
            raise ConfigError(
                ["hub demo runs on its own engine: unset HUB_KAFKA_BOOTSTRAP and HUB_DATABASE_URL for it"]
            )
        self.settings = settings
        self.say = say
        self.engine = Engine(settings)
        self.urls: dict[str, str] = {}
        self._children: Children | None = None
        self._where: Endpoints | None = None
        self._is_kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._is_kept and kind is None:
            return
        if self._children is not None:
            self._children.stop_all()
        self.engine.down()

    @property
    def where(self) -> Endpoints:
        """Return where the engine is; only after ``set_up``."""
        if self._where is None:
            raise ConfigError(["the demo's engine is not up yet"])
        return self._where

    @property
    def schema(self) -> str:
        """Return the warehouse's schema."""
        return self.settings.database_schema

    def keep(self) -> None:
        """Leave everything running at the end."""
        self._is_kept = True

    def set_up(self) -> None:
        """Delete what an earlier demo left; start engine, warehouse, topics and empty source databases."""
        self._clear()
        self._where = self.engine.up(self.say)
        engine = open_database(self.where.database_url, self.schema, "hub demo")
        with ThreadPoolExecutor(max_workers=2) as threads:
            made = threads.submit(self._create_topics)
            migrate(engine, self.schema)
            self.urls = {name: self.engine.create_database(name) for name in SOURCES}
            for name, url in self.urls.items():
                create_tables(url, name)
            made.result()
        engine.dispose()
        self._children = Children(self.settings.data_dir / "logs" / "demo", self._environment())

    def start(self, name: str, *arguments: str, stays: bool = False) -> Child:
        """Start a command of the hub; see ``Children.start``."""
        if self._children is None:
            raise ConfigError(["the demo's engine is not up yet"])
        return self._children.start(name, *arguments, stays=stays)

    def ask(self, *arguments: str, more: Mapping[str, str] | None = None) -> Any:
        """Print the command, run ``hub <arguments> --json`` and return what it prints; see ``Children.ask``."""
        if self._children is None:
            raise ConfigError(["the demo's engine is not up yet"])
        self.say(f"$ hub {shlex.join(arguments)}")
        return self._children.ask(*arguments, more=more)

    def check(self) -> None:
        """Raise ``ChildFailedError`` if a command of the hub has failed."""
        if self._children is not None:
            self._children.check()

    def run_connectors(self, names: Iterable[str]) -> list[Child]:
        """Start the connectors of these declarations; each runs until it has read all that its source holds."""
        return [self.run_connector(declaration(name)) for name in names]

    def run_connector(self, path: Path) -> Child:
        """Start the connector of one declaration."""
        return self.start(f"connect-{path.stem}", "connect", "run", str(path), "--once")

    def wait_for(self, children: Iterable[Child]) -> None:
        """Wait until these have ended with success."""
        for child in children:
            child.wait(_CONNECTOR_LIMIT_S)

    def load(self, story: Story, when: str) -> int:
        """Write each source database's rows of ``before`` or ``after`` midnight; return how many."""

        def write(name: str) -> int:
            rows: Iterable[Rows] = getattr(SOURCES[name], when)(story)
            recode = dancu.RECODE if (name, when) == ("dancu", "after") else None
            return copy_rows(self.urls[name], rows, recode)

        return sum(map(write, SOURCES))

    @contextmanager
    def warehouse(self) -> Iterator[Connection]:
        """Yield a connection to the warehouse."""
        engine = open_database(self.where.database_url, self.schema, "hub demo")
        try:
            with translated_errors("looking into the warehouse"), engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _create_topics(self) -> None:
        plan = plan_topics(self.where.bootstrap, topics(self.settings.partitions))
        create_topics(self.where.bootstrap, plan.missing, replication=1)

    def _environment(self) -> Mapping[str, str]:
        sources = {f"{name.upper()}_DATABASE_URL": url for name, url in self.urls.items()}
        return {
            "HUB_DATA_DIR": str(self.settings.data_dir),
            "HUB_POLICY": str(default_policy_path()),
            "HUB_SCHEMA_WAIT_S": _SCHEMA_WAIT_S,
            **sources,
        }

    def _clear(self) -> None:
        folder = self.settings.data_dir
        if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
            raise ConfigError([f"{folder} is not a demo's folder, the demo would delete it; choose another --data-dir"])
        if folder.exists():
            stop_left_over(folder / "logs" / "demo")
            self.engine.down(self.say)
            shutil.rmtree(folder)
        folder.mkdir(parents=True, mode=0o755)
        (folder / _MARK).touch()
