"""Avro in Confluent's frame: the schema is registered before the first row is sent."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import fastavro
import orjson
import pytest

from stream.client import PredictionLogger
from tests.client_offline import held
from tests.conftest import Kafka
from tests.kafka_io import create_topic, read_all


class Registry(BaseHTTPRequestHandler):
    """The one call of a Schema Registry that a producer makes; it fails the first time."""

    calls: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.calls.append((self.path, body))
        first = len(self.calls) == 1
        answer = b'{"error_code": 50001, "message": "starting"}' if first else b'{"id": 258}'
        self.send_response(500 if first else 200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def registry() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    calls: list[tuple[str, dict[str, Any]]] = []
    handler = type("Handler", (Registry,), {"calls": calls})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", calls
    server.shutdown()
    thread.join()
    server.server_close()


def test_avro_in_a_registrys_frame(
    kafka: Kafka,
    unique: str,
    registry: tuple[str, list[tuple[str, dict[str, Any]]]],
) -> None:
    url, calls = registry
    topic = f"{unique}predictions"
    create_topic(kafka.bootstrap_servers, topic)
    with PredictionLogger(
        model="credit",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        format="avro",
        registry_url=url,
    ) as logger:
        key = logger.log(features={"age": 41})
    assert logger.counters.delivered == 1
    assert held(logger) == (0, 0)
    (record,) = read_all(kafka.bootstrap_servers, topic)
    assert record.headers == ()
    value = record.value or b""
    assert struct.unpack(">bI", value[:5]) == (0, 258)
    path, body = calls[-1]
    assert path == f"/subjects/{topic}-value/versions"
    written = fastavro.parse_schema(orjson.loads(body["schema"]))
    row: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), written, None)
    assert row["prediction_id"] == key
    assert row["features"] == {"age": 41}
