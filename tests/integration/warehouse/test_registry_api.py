"""The registry's read side as a standard client meets it, over HTTP; and pushing to another registry."""

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import fastavro
import pytest
from aiohttp.test_utils import TestClient, TestServer

from hub.codec.catalogue import SchemaVersion, load_catalogue
from hub.codec.encode import Encoder
from hub.codec.registry.api import registry_app
from hub.codec.registry.push import RegistryRefusedError, RemoteRegistry, plan_push, push
from hub.model.errors import ConfigError, UnreachableError
from tests.support.schema_folder import optional_field
from tests.support.schema_samples import sample_event

CITIZEN = load_catalogue().latest("citizen.changed")
FIRST, SECOND, *_ = load_catalogue().versions("citizen.changed")
SUBJECT = "hub.citizen.changed.v1-value"
TEXT = json.dumps(CITIZEN.schema)
WITHOUT_LABELS = json.dumps(
    fastavro.schema.parse_schema(json.loads(fastavro.schema.to_parsing_canonical_form(dict(CITIZEN.schema))))
)


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(registry_app(load_catalogue()))) as started:
        yield started


async def get(client: TestClient[Any, Any], path: str) -> tuple[int, Any]:
    async with client.get(path) as response:
        assert response.content_type == "application/vnd.schemaregistry.v1+json"
        return response.status, await response.json(content_type=None)


async def post(client: TestClient[Any, Any], path: str, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, str) else json.dumps(body)
    async with client.post(path, data=data) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("subject", load_catalogue().subjects)
async def test_a_value_is_decoded_with_the_schema_that_its_id_names(client: TestClient[Any, Any], subject: str) -> None:
    event = sample_event(load_catalogue().latest(subject))
    value = Encoder(subject, "not-a-secret-of-any-hub").encode(event)
    _, answer = await get(client, f"/schemas/ids/{int.from_bytes(value[1:5])}")
    schema = fastavro.parse_schema(json.loads(answer["schema"]))
    assert fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None) == event


async def test_read_paths_answer_as_documented(client: TestClient[Any, Any]) -> None:
    for asked, version in (("1", FIRST), ("2", SECOND), ("latest", CITIZEN), ("-1", CITIZEN)):
        full = {"subject": SUBJECT, "version": version.number, "id": version.schema_id, "schema": version.schema}
        status, answer = await get(client, f"/subjects/{SUBJECT}/versions/{asked}")
        assert (status, {**answer, "schema": json.loads(answer["schema"])}) == (200, full)
    expected = {
        "/": {},
        "/schemas/types": ["AVRO"],
        "/schemas/ids/1001/schema": FIRST.schema,
        "/schemas/ids/1001/versions": [{"subject": SUBJECT, "version": 1}],
        f"/subjects/{SUBJECT}/versions": list(range(1, CITIZEN.number + 1)),
        f"/subjects/{SUBJECT}/versions/1/schema": FIRST.schema,
        f"/subjects/{SUBJECT}/versions/2/schema": SECOND.schema,
        "/config": {"compatibilityLevel": "FULL_TRANSITIVE"},
        f"/config/{SUBJECT}": {"compatibilityLevel": "FULL_TRANSITIVE"},
        "/mode": {"mode": "READONLY"},
    }
    assert {path: await get(client, path) for path in expected} == {
        path: (200, body) for path, body in expected.items()
    }
    _, subjects = await get(client, "/subjects")
    assert len(subjects) == len(load_catalogue().subjects)
    assert SUBJECT in subjects


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/schemas/ids/1", 404, 40403),
        ("/schemas/ids/x", 404, 40403),
        ("/schemas/ids/99999999999999999999", 404, 40403),
        ("/subjects/nope/versions", 404, 40401),
        ("/subjects/citizen.changed/versions", 404, 40401),
        ("/config/nope", 404, 40401),
        (f"/subjects/{SUBJECT}/versions/9", 404, 40402),
        (f"/subjects/{SUBJECT}/versions/first", 422, 42202),
        (f"/subjects/{SUBJECT}/versions/0", 422, 42202),
        ("/no/such/path", 404, 404),
        ("/subjects/x", 405, 405),
    ],
)
async def test_errors_carry_their_code(client: TestClient[Any, Any], path: str, status: int, code: int) -> None:
    found, answer = await get(client, path)
    assert (found, answer["error_code"]) == (status, code)
    assert answer["message"]


async def test_registry_says_how_long_texts_may_be(client: TestClient[Any, Any]) -> None:
    _, answer = await get(client, f"/subjects/{SUBJECT}/versions/latest")
    lengths = {field["name"]: field.get("max_length") for field in json.loads(answer["schema"])["fields"]}
    assert (lengths["full_name"], lengths["cmnd9"], lengths["birth_year"]) == (200, 50, None)


@pytest.mark.parametrize(
    ("schema", "version"),
    [(TEXT, CITIZEN), (WITHOUT_LABELS, CITIZEN), (json.dumps(FIRST.schema), FIRST)],
    ids=["newest", "without labels", "first"],
)
async def test_look_up_and_register_find_the_schema_that_is_there(
    client: TestClient[Any, Any], schema: str, version: SchemaVersion
) -> None:
    status, answer = await post(client, f"/subjects/{SUBJECT}", {"schema": schema})
    assert (status, answer["id"], answer["version"]) == (200, version.schema_id, version.number)
    found = await post(client, f"/subjects/{SUBJECT}/versions", {"schema": schema})
    assert found == (200, {"id": version.schema_id})


def with_field(field: dict[str, Any]) -> str:
    return json.dumps({**CITIZEN.schema, "fields": [*CITIZEN.schema["fields"], field]})


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (f"/subjects/{SUBJECT}", {"schema": with_field(optional_field("added"))}, 404, 40403),
        (f"/subjects/{SUBJECT}/versions", {"schema": with_field(optional_field("added"))}, 422, 42205),
        ("/subjects/nope", {"schema": TEXT}, 404, 40401),
        (f"/subjects/{SUBJECT}", "{", 422, 42201),
        (f"/subjects/{SUBJECT}", [], 422, 42201),
        (f"/subjects/{SUBJECT}", {"schema": "{}"}, 422, 42201),
        (f"/subjects/{SUBJECT}", {"schema": '"string"'}, 422, 42201),
        (f"/subjects/{SUBJECT}", {"schema": '{"type": "nope"}'}, 422, 42201),
        (f"/subjects/{SUBJECT}", {"schema": TEXT, "schemaType": "PROTOBUF"}, 422, 42201),
        (f"/compatibility/subjects/{SUBJECT}/versions/7", {"schema": TEXT}, 404, 40402),
    ],
)
async def test_posts_that_cannot_be_served_carry_their_code(
    client: TestClient[Any, Any], path: str, body: Any, status: int, code: int
) -> None:
    found, answer = await post(client, path, body)
    assert (found, answer["error_code"]) == (status, code)


async def test_compatibility_is_told_with_its_reasons(client: TestClient[Any, Any]) -> None:
    path = f"/compatibility/subjects/{SUBJECT}/versions"
    good = {"schema": with_field(optional_field("added"))}
    bad = {"schema": with_field({"name": "added", "type": "string"})}
    assert await post(client, f"{path}/latest", good) == (200, {"is_compatible": True})
    assert await post(client, path, bad) == (200, {"is_compatible": False})
    _, answer = await post(client, f"{path}/1?verbose=true", bad)
    assert answer["messages"] == ["new readers fail: reader_field_missing_default_value: added"]


class KeptRegistry(BaseHTTPRequestHandler):
    """A registry that keeps what it is given, in IMPORT mode only."""

    kept: ClassVar[dict[tuple[str, str], dict[str, Any]]] = {}
    modes: ClassVar[dict[str, str]] = {}
    levels: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        """Look a schema up, or keep it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, _, subject, *versions = self.path.split("/")
        key = subject, body["schema"]
        if not versions:
            self._answer(200 if key in self.kept else 404, self.kept.get(key, {"error_code": 40403}))
        elif self.modes.get(subject) != "IMPORT":
            self._answer(422, {"error_code": 42205, "message": "not in IMPORT mode"})
        else:
            self.kept[key] = {"subject": subject, "version": body["version"], "id": body["id"]}
            self._answer(200, {"id": body["id"]})

    def do_PUT(self) -> None:
        """Set a subject's mode or level."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, kind, subject = self.path.split("?")[0].split("/")
        (self.modes if kind == "mode" else self.levels)[subject] = next(iter(body.values()))
        self._answer(200, body)

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[RemoteRegistry]:
    for kept in (KeptRegistry.kept, KeptRegistry.modes, KeptRegistry.levels):
        kept.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), KeptRegistry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield RemoteRegistry(f"http://127.0.0.1:{server.server_port}/", timeout_s=5)
        server.shutdown()
        thread.join()


def test_push_publishes_what_is_missing_under_its_own_ids_once(registry: RemoteRegistry) -> None:
    catalogue = load_catalogue()
    planned = plan_push(catalogue, registry)
    assert KeptRegistry.kept == {}
    assert [item.version.schema_id for item in planned] == [
        version.schema_id for name in catalogue.subjects for version in catalogue.versions(name)
    ]

    assert tuple(push(registry, planned)) == planned
    assert {entry["id"] for entry in KeptRegistry.kept.values()} == {item.version.schema_id for item in planned}
    assert set(KeptRegistry.modes.values()) == {"READWRITE"}
    assert set(KeptRegistry.levels.values()) == {"FULL_TRANSITIVE"}
    assert plan_push(catalogue, registry) == ()


def test_push_refuses_a_registry_that_has_a_schema_under_another_id(registry: RemoteRegistry) -> None:
    tuple(push(registry, plan_push(load_catalogue(), registry)))
    next(iter(KeptRegistry.kept.values()))["id"] = 7
    with pytest.raises(RegistryRefusedError, match="has id 7"):
        plan_push(load_catalogue(), registry)


def test_push_says_what_the_registry_answered_when_it_refuses(registry: RemoteRegistry) -> None:
    with pytest.raises(RegistryRefusedError, match="not in IMPORT mode"):
        registry.call("POST", f"/subjects/{SUBJECT}/versions", {"schema": TEXT, "id": 1, "version": 1})


def test_push_says_unreachable_when_nothing_listens() -> None:
    with pytest.raises(UnreachableError):
        plan_push(load_catalogue(), RemoteRegistry("http://127.0.0.1:9", timeout_s=1))


def test_push_refuses_addresses_that_are_not_http() -> None:
    with pytest.raises(ConfigError):
        RemoteRegistry("file:///etc")


async def test_push_finds_nothing_to_do_at_the_hub_itself() -> None:
    async with TestServer(registry_app(load_catalogue())) as server:
        remote = RemoteRegistry(str(server.make_url("/")))
        assert await asyncio.to_thread(plan_push, load_catalogue(), remote) == ()
