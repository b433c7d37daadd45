"""The few lines of a schema registry that Apicurio's converter asks, serving the hub's own schemas on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hub.codec.catalogue import load_catalogue

_BY_CONTENT_ID = "/apis/registry/v2/ids/contentIds/"


class RegistryStub:
    """Serves schemas by content id, and takes new ones (a source connector registers what it writes)."""

    def __init__(self) -> None:
        self._taken: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "RegistryStub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address a converter is given."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/apis/registry/v2"

    def schema(self, content_id: int) -> bytes | None:
        """Return the text of a schema by its id: the hub's own, or one that was registered here."""
        version = load_catalogue().by_id(content_id)
        if version is not None:
            return json.dumps(version.schema).encode()
        texts = list(self._taken.values())
        return texts[content_id - 1] if 0 < content_id <= len(texts) else None

    def register(self, name: str, text: bytes) -> dict[str, Any]:
        """Keep a schema under a name and return what Apicurio says of it."""
        self._taken.setdefault(name, text)
        number = list(self._taken).index(name) + 1
        facts = {"id": name, "name": name, "version": "1", "type": "AVRO", "state": "ENABLED", "groupId": "default"}
        return {**facts, "globalId": number, "contentId": number, "createdOn": "2025-01-01T00:00:00Z"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                content: bytes | None = None
                if path.endswith("/references"):
                    content = b"[]"
                elif path.startswith(_BY_CONTENT_ID):
                    content = stub.schema(int(path.removeprefix(_BY_CONTENT_ID)))
                self._answer(200 if content is not None else 404, content or b"{}")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = self.headers.get("X-Registry-ArtifactId") or self.path.partition("?")[0].split("/")[-1]
                self._answer(200, json.dumps(stub.register(name, body)).encode())

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler
