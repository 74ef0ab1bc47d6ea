"""A Schema Registry that is real enough to ask, and that may fail in all ways."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import orjson

__all__ = ["Registry"]

_NONE = orjson.dumps({"error_code": 40403, "message": "Schema not found"})


class Registry:
    """Answers for the schemas that are set; `fails` says how it answers to everything instead.

    `hangs` never answers, `refuses` is a failure of the server, `babbles` is no JSON.
    """

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.fails = ""
        self.asked = 0
        self._released = threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(*registry._answer(self.path))

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        """Lets those go on that hang."""
        self._released.set()

    def _answer(self, path: str) -> tuple[int, bytes]:
        self.asked += 1
        if self.fails == "hangs":
            self._released.wait(60)
        if self.fails == "refuses":
            return 500, b"{}"
        if self.fails == "babbles":
            return 200, b"\xff\x00<html>"
        found = self.schemas.get(int(path.rpartition("/")[2].partition("?")[0]))
        return (404, _NONE) if found is None else (200, orjson.dumps({"schema": found}))
