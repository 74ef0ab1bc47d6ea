"""The HTTP endpoints answer what supervisors and Prometheus ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection

import pytest

from stream.adapters.metrics import Metrics
from stream.core.errors import ConfigError
from stream.web.endpoints import Endpoints


@dataclass
class _Health:
    why_dead: list[str] = field(default_factory=list)
    why_unready: list[str] = field(default_factory=list)

    def dead(self) -> Sequence[str]:
        return self.why_dead

    def unready(self) -> Sequence[str]:
        return self.why_unready


@pytest.fixture
def health() -> _Health:
    return _Health()


@pytest.fixture
def served(health: _Health) -> Iterator[Endpoints]:
    with Endpoints(Metrics().registry, health, port=0) as endpoints:
        yield endpoints


def _get(endpoints: Endpoints, path: str, method: str = "GET") -> tuple[int, str]:
    connection = HTTPConnection(endpoints.address.removeprefix("http://"), timeout=5)
    with closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_metrics_are_served(served: Endpoints) -> None:
    status, text = _get(served, "/metrics")
    assert status == 200
    assert "driftstream_windows_closed_total" in text


def test_readiness_says_why_not(served: Endpoints, health: _Health) -> None:
    assert _get(served, "/readyz") == (200, "ok\n")
    health.why_unready = ["observe: restoring"]
    assert _get(served, "/readyz") == (503, "observe: restoring\n")
    assert _get(served, "/livez") == (200, "ok\n")


def test_liveness_fails_only_for_the_dead(served: Endpoints, health: _Health) -> None:
    health.why_dead = ["detect: its thread ended"]
    assert _get(served, "/livez") == (503, "detect: its thread ended\n")


def test_other_paths_and_methods(served: Endpoints) -> None:
    assert _get(served, "/nothing")[0] == 404
    assert _get(served, "/metrics", "POST")[0] == 405
    assert "/readyz" in _get(served, "/")[1]


def test_a_taken_port_is_a_clear_error(served: Endpoints, health: _Health) -> None:
    port = int(served.address.rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match="http_port"):
        Endpoints(Metrics().registry, health, port=port).start()


def test_stopping_twice_is_harmless(health: _Health) -> None:
    endpoints = Endpoints(Metrics().registry, health, port=0)
    endpoints.stop()
    endpoints.start()
    endpoints.stop()
    endpoints.stop()
