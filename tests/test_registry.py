"""The registry client against a server of its own that speaks the protocol, and a real one.

The real one is taken from SCHEMA_REGISTRY_URL (say Apicurio's `/apis/ccompat/v7`), if it is set.
"""

from __future__ import annotations

import base64
import io
import json
import os
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import fastavro
import pytest

from stream import schemas
from stream.adapters.registry import RegistryClient
from stream.core.errors import BrokerError, ConfigError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = {"type": "record", "name": "Row", "fields": [{"name": "x", "type": "double"}]}
INNER = {"type": "record", "name": "my.Inner", "fields": [{"name": "y", "type": "long"}]}
OUTER = {"type": "record", "name": "my.Outer", "fields": [{"name": "i", "type": "my.Inner"}]}
TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "kids", "type": {"type": "array", "items": "Tree"}}],
}


@dataclass
class Registry:
    """What the server answers, and what it was asked."""

    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, path: str, body: Any, status: int = 200) -> None:
        self.answers[path] = (status, json.dumps(body).encode())

    def has(self, schema_id: int, schema: Any, **further: Any) -> None:
        self.answer(f"/schemas/ids/{schema_id}", {"schema": json.dumps(schema), **further})


@pytest.fixture
def registry() -> Iterator[Registry]:
    state = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.authorizations.append(self.headers["Authorization"])
            if state.silent.is_set():
                state.released.wait(30)
                return
            missing = (404, b'{"error_code": 40403, "message": "Schema not found"}')
            status, body = state.answers.get(self.path, missing)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
                body = b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_schema_is_asked_for_once(registry: Registry) -> None:
    registry.has(7, ROW)
    client = RegistryClient(registry.url + "/")
    first = client.get(7)
    assert first is not None
    assert first["fields"][0]["name"] == "x"
    assert client.get(7) is first
    assert registry.asked == ["/schemas/ids/7"]


def test_an_unknown_id_is_asked_for_again_when_its_age_is_over(registry: Registry) -> None:
    now = [0.0]
    client = RegistryClient(registry.url, unknown_for_s=60, clock=lambda: now[0])
    assert client.get(7) is None
    now[0] = 59.9
    assert client.get(7) is None
    assert len(registry.asked) == 1
    registry.has(7, ROW)
    now[0] = 60.0
    assert client.get(7) is not None
    now[0] = 1e9
    assert client.get(7) is not None
    assert len(registry.asked) == 2


def test_the_cache_is_bounded_and_keeps_what_was_used_last(registry: Registry) -> None:
    for schema_id in range(4):
        registry.has(schema_id, ROW)
    client = RegistryClient(registry.url, max_schemas=2)
    for schema_id in (0, 1, 0, 2, 0):
        client.get(schema_id)
    assert registry.asked == [f"/schemas/ids/{i}" for i in (0, 1, 2)]
    client.get(1)
    assert len(registry.asked) == 4


def test_references_are_fetched_and_put_in(registry: Registry) -> None:
    reference = {"name": "my.Inner", "subject": "inner/value", "version": 3}
    registry.has(1, OUTER, references=[reference])
    registry.answer("/subjects/inner%2Fvalue/versions/3", {"schema": json.dumps(INNER)})
    schema = RegistryClient(registry.url).get(1)
    assert schema is not None
    written = io.BytesIO()
    fastavro.schemaless_writer(written, schema, {"i": {"y": 5}})
    written.seek(0)
    assert fastavro.schemaless_reader(written, schema, None) == {"i": {"y": 5}}


def test_a_schema_may_name_itself(registry: Registry) -> None:
    registry.has(1, TREE)
    assert RegistryClient(registry.url).get(1) is not None


@pytest.mark.parametrize("name", ["monitor", "prediction", "dead_letter"])
def test_our_own_schemas_read_what_we_write(registry: Registry, name: str) -> None:
    records: dict[str, dict[str, Any]] = {
        "monitor": {"model": "m", "severity_by_share": [{"severity": "warning", "share": 0.5}]},
        "prediction": {"prediction_id": "p", "model": "m", "event_time_ms": 1, "score": {"a": 1.0}},
        "dead_letter": {
            "topic": "predictions",
            "partition": 0,
            "offset": 1,
            "timestamp_ms": 2,
            "value": b"x",
            "reason": "malformed",
            "rejected_at_ms": 3,
        },
    }
    registry.has(1, schemas.source(name))
    found = RegistryClient(registry.url).get(1)
    assert found is not None
    body = schemas.encode_avro(name, records[name])
    read = fastavro.schemaless_reader(io.BytesIO(body), found, None)
    assert read == schemas.decode_avro(name, body)


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": json.dumps({"type": "nonsense"})},
        {"schema": "{not json"},
        {"schema": json.dumps(ROW), "schemaType": "PROTOBUF"},
        {"schema": json.dumps(OUTER), "references": [{"subject": "gone", "version": 1}]},
        {"schema": json.dumps(OUTER), "references": [{"odd": 1}]},
        {"schema": '{"type":"array","items":' * 3000 + '"long"' + "}" * 3000},
        {},
    ],
)
def test_what_is_no_avro_schema_is_unknown(registry: Registry, answer: Any) -> None:
    registry.answer("/schemas/ids/1", answer)
    assert RegistryClient(registry.url).get(1) is None


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, b"", "HTTP 500"),
        (503, b'{"error_code": 50302, "message": "leader unknown"}', "leader unknown"),
        (401, b'{"error_code": 40101, "message": "Unauthorized"}', "user and password"),
        (404, b"<html>no such page</html>", "HTTP 404"),
        (200, b"<html>a portal</html>", "is this a registry"),
        (200, b"[]", "is this a registry"),
    ],
)
def test_failures_are_broker_errors_and_not_remembered(
    registry: Registry, status: int, body: bytes, says: str
) -> None:
    registry.answers["/schemas/ids/1"] = (status, body)
    client = RegistryClient(registry.url)
    with pytest.raises(BrokerError, match=says):
        client.get(1)
    registry.has(1, ROW)
    assert client.get(1) is not None


def test_silence_is_a_broker_error_in_time(registry: Registry) -> None:
    registry.silent.set()
    with pytest.raises(BrokerError, match="does not answer"):
        RegistryClient(registry.url, timeout_s=0.2).get(1)


def test_nobody_there_is_a_broker_error() -> None:
    with pytest.raises(BrokerError, match="does not answer"):
        RegistryClient("http://127.0.0.1:1").get(1)


def test_an_endless_answer_is_cut(registry: Registry) -> None:
    registry.answers["/schemas/ids/1"] = (200, b" " * (5 * 1024 * 1024))
    with pytest.raises(BrokerError, match="answers more than"):
        RegistryClient(registry.url).get(1)


def test_credentials_are_sent_and_never_shown(registry: Registry) -> None:
    registry.answers["/schemas/ids/1"] = (403, b"")
    host = registry.url.removeprefix("http://")
    for client in (
        RegistryClient(registry.url, user="alice", password="s3cret/"),
        RegistryClient(f"http://alice:s3cret%2F@{host}"),
    ):
        with pytest.raises(BrokerError) as refused:
            client.get(1)
        sent = registry.authorizations[-1]
        assert sent is not None
        assert base64.b64decode(sent.removeprefix("Basic ")) == b"alice:s3cret/"
        assert "s3cret" not in f"{refused.value}{client!r}"


def test_credentials_follow_no_redirect(registry: Registry) -> None:
    registry.answers["/schemas/ids/1"] = (302, f"{registry.url}/elsewhere".encode())
    registry.answer("/elsewhere", {"schema": json.dumps(ROW)})
    assert RegistryClient(registry.url, user="alice", password="x").get(1) is not None
    assert registry.authorizations[0] is not None
    assert registry.authorizations[1] is None


@pytest.mark.parametrize("url", ["", "localhost:8081", "file:///etc/passwd", "ftp://host"])
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="registry_url"):
        RegistryClient(url)


def test_registering_gives_an_id_or_says_why_not(registry: Registry) -> None:
    client = RegistryClient(registry.url)
    path = "/subjects/predictions-value/versions"
    registry.answer(path, {"id": 5})
    assert client.register("predictions-value", ROW) == 5
    registry.answer(path, {"error_code": 409, "message": "incompatible"}, status=409)
    with pytest.raises(SchemaError, match="incompatible"):
        client.register("predictions-value", ROW)


def test_a_real_registry_keeps_our_schemas() -> None:
    url = os.environ.get("SCHEMA_REGISTRY_URL")
    if not url:
        pytest.skip("SCHEMA_REGISTRY_URL is not set")
    client = RegistryClient(url)
    subject = f"test-{uuid.uuid4().hex}-value"
    for name in schemas.names():
        schema_id = client.register(f"{subject}-{name}", schemas.source(name))
        found = client.get(schema_id)
        assert found is not None
        assert found["name"] == schemas.schema(name)["name"]
    assert client.get(2_000_000_000) is None
