"""The read side of the Schema Registry API, so that any standard deserialiser can decode the hub's topics.

Subjects follow TopicNameStrategy (``<topic>-value``). Nothing can be registered here: schemas are files that are
published with the code. A client that registers an existing schema gets its id, which serialisers do by default.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import fastavro
from aiohttp import web

from hub.codec.catalogue import Catalogue, SchemaVersion, fingerprint
from hub.codec.registry.names import COMPATIBILITY, CONTENT_TYPE, SUBJECT_SUFFIX, registry_subject, schema_text
from hub.codec.schema_check.compatibility import avro_messages
from hub.topology import subject_of

UNKNOWN_SUBJECT, UNKNOWN_VERSION, UNKNOWN_SCHEMA = 40401, 40402, 40403
INVALID_SCHEMA, INVALID_VERSION, READ_ONLY = 42201, 42202, 42205
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def registry_app(catalogue: Catalogue) -> web.Application:
    """Return the application; it holds no state except the catalogue and needs no clean-up."""
    api = _Api(catalogue)
    app = web.Application(middlewares=[_json_errors])
    subject, version = "/subjects/{subject}", "/subjects/{subject}/versions/{version}"
    app.add_routes(
        [
            web.get("/", api.root),
            web.get("/schemas/types", api.types),
            web.get("/schemas/ids/{schema_id}", api.schema_by_id),
            web.get("/schemas/ids/{schema_id}/schema", api.schema_text_by_id),
            web.get("/schemas/ids/{schema_id}/versions", api.versions_by_id),
            web.get("/subjects", api.subjects),
            web.post(subject, api.look_up),
            web.get(f"{subject}/versions", api.versions),
            web.post(f"{subject}/versions", api.register),
            web.get(version, api.version),
            web.get(f"{version}/schema", api.version_schema),
            web.get("/config", api.config),
            web.get("/config/{subject}", api.subject_config),
            web.get("/mode", api.mode),
            web.post(f"/compatibility{subject}/versions", api.compatible_with_all),
            web.post(f"/compatibility{version}", api.compatible_with_one),
        ]
    )
    return app


class _Api:
    """Handlers; each returns the documented body or raises the documented error."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def root(self, _: web.Request) -> web.Response:
        return _answer({})

    async def types(self, _: web.Request) -> web.Response:
        return _answer(["AVRO"])

    async def mode(self, _: web.Request) -> web.Response:
        return _answer({"mode": "READONLY"})

    async def config(self, _: web.Request) -> web.Response:
        return _answer({"compatibilityLevel": COMPATIBILITY})

    async def subject_config(self, request: web.Request) -> web.Response:
        self._versions(request)
        return _answer({"compatibilityLevel": COMPATIBILITY})

    async def subjects(self, _: web.Request) -> web.Response:
        return _answer([registry_subject(subject) for subject in self._catalogue.subjects])

    async def schema_by_id(self, request: web.Request) -> web.Response:
        return _answer({"schema": schema_text(self._by_id(request))})

    async def schema_text_by_id(self, request: web.Request) -> web.Response:
        return _answer(self._by_id(request).schema)

    async def versions_by_id(self, request: web.Request) -> web.Response:
        found = self._by_id(request)
        return _answer([{"subject": registry_subject(found.subject), "version": found.number}])

    async def versions(self, request: web.Request) -> web.Response:
        return _answer([version.number for version in self._versions(request)])

    async def version(self, request: web.Request) -> web.Response:
        return _answer(_full(self._version(request)))

    async def version_schema(self, request: web.Request) -> web.Response:
        return _answer(self._version(request).schema)

    async def look_up(self, request: web.Request) -> web.Response:
        found = _same_schema(self._versions(request), await _schema_in(request))
        if found is None:
            _fail(web.HTTPNotFound, UNKNOWN_SCHEMA, "Schema not found")
        return _answer(_full(found))

    async def register(self, request: web.Request) -> web.Response:
        found = _same_schema(self._versions(request), await _schema_in(request))
        if found is None:
            _fail(web.HTTPUnprocessableEntity, READ_ONLY, "Schemas are published with the hub, not registered here")
        return _answer({"id": found.schema_id})

    async def compatible_with_one(self, request: web.Request) -> web.Response:
        return await _compatibility(request, (self._version(request),))

    async def compatible_with_all(self, request: web.Request) -> web.Response:
        return await _compatibility(request, self._versions(request))

    def _by_id(self, request: web.Request) -> SchemaVersion:
        text = request.match_info["schema_id"]
        found = self._catalogue.by_id(int(text)) if text.isascii() and text.isdigit() else None
        if found is None:
            _fail(web.HTTPNotFound, UNKNOWN_SCHEMA, "Schema not found")
        return found

    def _versions(self, request: web.Request) -> tuple[SchemaVersion, ...]:
        name = request.match_info["subject"]
        subject = subject_of(name.removesuffix(SUBJECT_SUFFIX))
        if name != registry_subject(subject) or subject not in self._catalogue.subjects:
            _fail(web.HTTPNotFound, UNKNOWN_SUBJECT, "Subject not found")
        return self._catalogue.versions(subject)

    def _version(self, request: web.Request) -> SchemaVersion:
        versions = self._versions(request)
        text = request.match_info["version"]
        if text in ("latest", "-1"):
            return versions[-1]
        if not (text.isascii() and text.isdigit()) or int(text) < 1:
            _fail(web.HTTPUnprocessableEntity, INVALID_VERSION, "The version is neither a number nor latest")
        for version in versions:
            if version.number == int(text):
                return version
        _fail(web.HTTPNotFound, UNKNOWN_VERSION, "Version not found")


def _full(version: SchemaVersion) -> dict[str, Any]:
    return {
        "subject": registry_subject(version.subject),
        "version": version.number,
        "id": version.schema_id,
        "schema": schema_text(version),
    }


async def _schema_in(request: web.Request) -> Mapping[str, Any]:
    """Return the schema in a request's body; clients send it as JSON text inside JSON."""
    try:
        body = json.loads(await request.text())
        if body.get("schemaType", "AVRO") != "AVRO":
            _fail(web.HTTPUnprocessableEntity, INVALID_SCHEMA, "Only AVRO schemas are kept here")
        schema = json.loads(body["schema"])
        fastavro.parse_schema(schema)
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeError, fastavro.schema.UnknownType):
        _fail(web.HTTPUnprocessableEntity, INVALID_SCHEMA, "Invalid Avro schema")
    if not isinstance(schema, dict):
        _fail(web.HTTPUnprocessableEntity, INVALID_SCHEMA, "Every schema here is a record")
    return schema


def _same_schema(versions: tuple[SchemaVersion, ...], schema: Mapping[str, Any]) -> SchemaVersion | None:
    """Return the version with exactly this schema; otherwise the newest that reads and writes the same bytes."""
    exact = fingerprint(schema)
    form = _canonical_form(schema)
    alike = [version for version in versions if _canonical_form(version.schema) == form]
    for version in alike:
        if fingerprint(version.schema) == exact:
            return version
    return alike[-1] if alike else None


def _canonical_form(schema: Mapping[str, Any]) -> str:
    return str(fastavro.schema.to_parsing_canonical_form(dict(schema)))


async def _compatibility(request: web.Request, versions: tuple[SchemaVersion, ...]) -> web.Response:
    schema = await _schema_in(request)
    messages = [message for version in versions for message in avro_messages(version.schema, schema)]
    body: dict[str, Any] = {"is_compatible": not messages}
    if request.query.get("verbose") == "true":
        body["messages"] = messages
    return _answer(body)


def _answer(body: Any) -> web.Response:
    return web.json_response(body, content_type=CONTENT_TYPE)


def _fail(error: type[web.HTTPError], code: int, message: str) -> NoReturn:
    raise error(text=json.dumps({"error_code": code, "message": message}), content_type=CONTENT_TYPE)


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the framework's own errors (no such path, wrong method) the body that clients expect."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        if error.content_type != CONTENT_TYPE:
            error.text = json.dumps({"error_code": error.status, "message": f"HTTP {error.status} {error.reason}"})
            error.content_type = CONTENT_TYPE
        raise
