"""The worker's HTTP endpoints: /metrics for Prometheus, /livez and /readyz for a supervisor.

/livez answers 200 while the process runs and no agent's thread has died: a rebalance, a restore
or a broker that is away never fail it. /readyz answers 200 when every agent has restored its
state and reads all its partitions, else 503 with a line for each reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from stream.core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Endpoints", "Health"]

_LOG = logging.getLogger("stream.web")
_PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
_PATHS = "/metrics\n/livez\n/readyz\n"


class Health(Protocol):
    """What the endpoints ask; called from server threads."""

    def dead(self) -> Sequence[str]:
        """Why the process should be restarted; empty while it lives."""

    def unready(self) -> Sequence[str]:
        """Why the worker isn't doing all its work now; empty when it is."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        _LOG.debug(format, *args)

    def address_string(self) -> str:
        return str(self.client_address[0])  # the base class would ask the DNS


class Endpoints:
    """An HTTP server on a thread of its own, from `start` (or `with`) to `stop`.

    `port` 0 takes any free one; `address` says which it became.
    """

    def __init__(
        self, registry: CollectorRegistry, health: Health, host: str = "127.0.0.1", port: int = 8080
    ) -> None:
        self._metrics = make_wsgi_app(registry)
        self._health = health
        self._host = host
        self._port = port
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """The server's base URL once it is started."""
        port = self._server.server_port if self._server else self._port
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    def start(self) -> None:
        """Listens and serves; ConfigError when the address cannot be had."""
        try:
            self._server = make_server(self._host, self._port, self._answer, _Server, _QuietHandler)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose another "
                "address with the settings http_host and http_port (0: any free port)"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops serving and closes the socket; does nothing when not started."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if environ.get("REQUEST_METHOD") != "GET":
            return _text(start, "405 Method Not Allowed", "only GET\n")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path == "/livez":
            return _state(start, self._health.dead())
        if path == "/readyz":
            return _state(start, self._health.unready())
        if path == "/":
            return _text(start, "200 OK", _PATHS)
        return _text(start, "404 Not Found", f"nothing here; there are\n{_PATHS}")


def _state(start: StartResponse, reasons: Sequence[str]) -> Iterable[bytes]:
    if not reasons:
        return _text(start, "200 OK", "ok\n")
    return _text(start, "503 Service Unavailable", "".join(f"{reason}\n" for reason in reasons))


def _text(start: StartResponse, status: str, body: str) -> Iterable[bytes]:
    data = body.encode()
    start(status, [*_PLAIN, ("Content-Length", str(len(data)))])
    return [data]
