"""Publish the hub's schemas to an external Schema Registry, under the hub's own ids.

A registry accepts a given id only in IMPORT mode. Each subject is switched to it before its versions and back
afterwards, and is set to FULL_TRANSITIVE. Versions that exist with the same id are skipped; a version with a different
id is an error.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.codec.catalogue import Catalogue, SchemaVersion
from hub.codec.registry.names import COMPATIBILITY, CONTENT_TYPE, registry_subject, schema_text
from hub.model.errors import ConfigError, HubError, UnreachableError


class RegistryRefusedError(HubError):
    """The registry answered with a refusal."""

    code = "REGISTRY_REFUSED"


@dataclass(frozen=True, slots=True)
class Push:
    """One version to publish."""

    version: SchemaVersion
    subject: str
    """The registry's name of its subject."""


@dataclass(frozen=True, slots=True)
class RemoteRegistry:
    """A Schema Registry reached over HTTP(S). Calls block, for at most ``timeout_s`` each, and are not retried here."""

    url: str = field(repr=False)
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigError(["--registry must be an http:// or https:// address"])

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer.

        Raises:
            UnreachableError: no connection, no answer in time, or an answer that is not from a registry.
            RegistryRefusedError: any error except 404 and 409.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": CONTENT_TYPE, "Accept": f"{CONTENT_TYPE}, application/json"}
        request = urllib.request.Request(self.url.rstrip("/") + path, data, headers, method=method)  # noqa: S310 - checked
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as response:  # noqa: S310 - scheme is checked above
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(500).decode(errors="replace")
            if error.code in (404, 409):
                return error.code, None
            raise RegistryRefusedError(f"{method} {path}: {error.code}: {detail}") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
            raise UnreachableError(f"schema registry: {error}") from error


def plan_push(catalogue: Catalogue, registry: RemoteRegistry) -> tuple[Push, ...]:
    """Return what the registry lacks, oldest versions first; changes nothing.

    Raises:
        RegistryRefusedError: it holds one of the versions under a different id.
    """
    missing = []
    for subject in catalogue.subjects:
        name = registry_subject(subject)
        for version in catalogue.versions(subject):
            status, found = registry.call("POST", f"/subjects/{name}", {"schema": schema_text(version)})
            if status != 200 or found is None:
                missing.append(Push(version, name))
            elif found["id"] != version.schema_id:
                problem = f"{name} version {version.number} has id {found['id']}, not {version.schema_id}"
                raise RegistryRefusedError(problem)
    return tuple(missing)


def push(registry: RemoteRegistry, planned: tuple[Push, ...]) -> Iterator[Push]:
    """Publish the planned versions; yield each after the registry accepted it. Can be repeated after a failure."""
    for name in dict.fromkeys(item.subject for item in planned):
        registry.call("PUT", f"/mode/{name}?force=true", {"mode": "IMPORT"})
        try:
            for item in (item for item in planned if item.subject == name):
                _push_one(registry, item)
                yield item
        finally:
            registry.call("PUT", f"/mode/{name}", {"mode": "READWRITE"})
        registry.call("PUT", f"/config/{name}", {"compatibility": COMPATIBILITY})


def _push_one(registry: RemoteRegistry, item: Push) -> None:
    version = item.version
    body = {"schema": schema_text(version), "id": version.schema_id, "version": version.number}
    status, taken = registry.call("POST", f"/subjects/{item.subject}/versions", body)
    if status != 200 or taken is None or taken.get("id") != version.schema_id:
        problem = f"{item.subject} version {version.number}: id {version.schema_id} was not taken"
        raise RegistryRefusedError(problem)
