"""Settings: one frozen value, read from ``HUB_*`` variables by the command line and passed to all others.

Nothing else reads the environment. There are no default secrets: the embedded engine creates its own and keeps them in
its folder.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub.model.errors import ConfigError
from hub.model.processes import Limits


class Settings(BaseSettings):
    """The settings in the README's table; each field's variable is ``HUB_`` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="HUB_", env_ignore_empty=True, frozen=True, extra="forbid")

    kafka_bootstrap: str | None = Field(
        default=None, description="Kafka brokers, host:port[,host:port]. Unset: the embedded Kafka."
    )
    database_url: str | None = Field(
        default=None,
        repr=False,
        description="PostgreSQL, postgresql+psycopg://user:password@host/name. Unset: the embedded PostgreSQL.",
    )
    database_schema: str = Field(
        default="hub", pattern="^[a-z_][a-z0-9_]*$", description="Schema that holds the warehouse."
    )
    key_secret: str | None = Field(
        default=None,
        min_length=16,
        pattern="^[ -~]+$",
        repr=False,
        description="Secret of the keyed hash, printable ASCII, 16 characters or more; one for hub and connectors.",
    )
    data_dir: Path = Field(default=Path(".hub"), description="Folder of the embedded engine: data, logs, secrets.")
    cache_dir: Path = Field(
        default=Path(os.path.expanduser("~/.cache/hub")), description="Folder of downloaded Kafka jars, per user."
    )
    kafka_home: Path | None = Field(
        default=None, description="An unpacked Kafka whose jars are used instead of a download."
    )
    policy: Path | None = Field(
        default=None, description="Policy file (TOML): the sources. Unset: the policy of the demo."
    )
    calendar: Path | None = Field(
        default=None, description="Calendar of working days (TOML), for deadlines. Unset: the hub's own."
    )
    archive_dir: Path | None = Field(
        default=None, description="Folder of the archive: ranges of the event topics as Parquet files."
    )
    partitions: int = Field(default=4, ge=1, le=1000, description="Partitions of each event topic when it is created.")
    replication: int = Field(default=1, ge=1, le=10, description="Brokers that keep each topic when it is created.")
    consumer_group: str = Field(default="hub.intake", min_length=1, description="Consumer group that the workers join.")
    batch_rows: int = Field(default=36_000, ge=1, le=1_000_000, description="Maximum number of records in one batch.")
    batch_target_s: float = Field(
        default=2.0, gt=0, le=60, description="Batches get smaller until a transaction lasts no longer than this."
    )
    lanes: int = Field(
        default=2,
        ge=1,
        le=16,
        description="Batches of partitions that are far behind, committed at the same time by one worker.",
    )
    poll_ms: int = Field(
        default=200, ge=1, le=60_000, description="Longest wait for a batch to begin, in milliseconds."
    )
    decode_timeout_s: float = Field(
        default=10.0, gt=0, description="Time limit of decoding one batch in the child process."
    )
    decode_memory_mb: int = Field(default=2048, ge=256, description="Memory limit of the decoding child process.")
    schema_wait_s: float = Field(
        default=5.0, ge=0, description="How long an unknown schema id is retried before it is poison."
    )
    session_timeout_s: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="How long the group waits for a killed worker before others get its partitions.",
    )
    signing_key_file: Path | None = Field(
        default=None, description="Ed25519 key that signs evidence, PEM. Unset: the worker creates one in its folder."
    )
    signing_key: str | None = Field(
        default=None, repr=False, description="The same key, 32 bytes in base64; the file takes precedence."
    )
    evidence_every_s: float = Field(
        default=60.0, ge=0.1, le=3600, description="How often the audit log's chains are signed and published."
    )
    evidence_limit_s: float = Field(
        default=300.0, ge=1, description="Age of unpublished evidence at which a worker takes no more events."
    )
    audit_retention_months: int = Field(
        default=24, ge=1, le=1200, description="Months of the audit log that `hub audit retention` keeps."
    )
    gone_after_s: float = Field(
        default=20.0, ge=5, le=3600, description="A process without a heartbeat for this long is gone: an alert opens."
    )
    behind_after_s: float = Field(
        default=300.0, ge=1, description="Share or a connector that is this far behind opens an alert."
    )
    letters_after_s: float = Field(
        default=14_400.0, ge=1, description="A dead letter that nobody has handled for this long opens an alert."
    )
    letters_most: int = Field(
        default=100, ge=1, description="So many dead letters of a topic that nobody has handled open the alert at once."
    )
    log_level: Literal["INFO", "DEBUG"] = Field(
        default="INFO", description="INFO: what an operator needs. DEBUG: also the libraries' messages."
    )
    web_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the worker's health page on loopback; 0: a free one."
    )
    approver_credential: str | None = Field(
        default=None, repr=False, description="Credential of the person who approves; unset: the file, or asked for."
    )
    approver_credential_file: Path | None = Field(
        default=None, description="File with the credential of the person who approves."
    )
    new_credential: str | None = Field(
        default=None,
        repr=False,
        description="Credential that `hub operators add` gives; unset: its file, or asked for.",
    )
    new_credential_file: Path | None = Field(
        default=None, description="File with the credential that `hub operators add` gives."
    )


STILL_S = 120.0
"""A process whose main loop makes no progress for this long stands still; no step of a loop may take so long."""


def limits_of(settings: Settings) -> Limits:
    """Return when a process is gone, stands still or is behind."""
    return Limits(settings.gone_after_s, STILL_S, settings.behind_after_s)


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Build the settings from the environment.

    Args:
        overrides: values of command-line options; None keeps the environment's value.

    Raises:
        ConfigError: with every wrong variable at once.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    problems = [
        f"{name}: no such setting; `hub config` lists them"
        for name in sorted(os.environ)
        if name.startswith("HUB_")
        and name not in _ALLOWED_ELSEWHERE
        and name.removeprefix("HUB_").lower() not in Settings.model_fields
    ]
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise ConfigError([*(_problem(item) for item in error.errors()), *problems]) from None
    if problems:
        raise ConfigError(problems)
    return settings


_ALLOWED_ELSEWHERE = {"HUB_SOAK_EXAMPLES"}


def _problem(item: Mapping[str, Any]) -> str:
    name = "HUB_" + "_".join(str(part) for part in item["loc"]).upper()
    return f"{name}: {item['msg']}"
