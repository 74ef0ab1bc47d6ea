"""How entries become records where each entry is one row: as they are, or in a registry's frame."""

from __future__ import annotations

import base64
import struct
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence

import orjson
from confluent_kafka import Producer

from stream import schemas
from stream.client.buffer import Entry
from stream.client.record import Record
from stream.core.errors import ConfigError

__all__ = ["FramedPacker", "RowPacker"]

_TIMEOUT_SECONDS = 5.0
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class RowPacker:
    """One record a row, as it was encoded; `headers` go with every record."""

    fewest = 1

    def __init__(self, headers: list[tuple[str, bytes]] | None = None) -> None:
        self.headers = headers

    def prepare(self, producer: Producer, topic: str) -> str | None:
        """Needs nothing."""
        del producer, topic
        return None

    def pack(self, entries: Sequence[Entry[bytes]]) -> list[Record]:
        """A record an entry."""
        return [Record(entry.key, entry.value, 1, entry.size) for entry in entries]


class FramedPacker:
    """One Avro record a row in Confluent's frame: 0x00, the schema's id, the body.

    The schema is registered for the subject `<topic>-value` before the first row is sent; until
    the registry answers, rows wait in the buffer. User and password may stand in the URL.
    """

    fewest = 1

    def __init__(self, registry_url: str, schema_name: str) -> None:
        self.headers: list[tuple[str, bytes]] | None = None
        parts = urllib.parse.urlsplit(registry_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise ConfigError(
                "registry_url: wants http://host:port or https://host:port; in a user or password "
                "write /, ?, # and @ percent-encoded"
            )
        self._headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE}
        self._authorization = ""
        if parts.username is not None:
            login = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
            self._authorization = f"Basic {base64.b64encode(login.encode()).decode()}"
        place = parts.netloc.rpartition("@")[2]
        self._url = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
        self._schema_name = schema_name
        self._frame = b""

    def prepare(self, producer: Producer, topic: str) -> str | None:
        """Registers the schema; returns why it couldn't."""
        del producer
        subject = urllib.parse.quote(f"{topic}-value", safe="")
        text = orjson.dumps(schemas.source(self._schema_name)).decode()
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked
            f"{self._url}/subjects/{subject}/versions",
            orjson.dumps({"schema": text}),
            self._headers,
        )
        if self._authorization:  # which goes to no other host that the registry may name
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                body = orjson.loads(answer.read(65_536))
            self._frame = struct.pack(">bI", 0, body["id"])
        except urllib.error.HTTPError as refused:
            with refused:
                said = refused.read(300).decode(errors="replace")
            return f"the registry at {self._url} answers {refused.code}: {said}"
        except (OSError, ValueError, KeyError, TypeError, struct.error) as fault:
            return f"the registry at {self._url} doesn't answer as one: {fault}"
        return None

    def pack(self, entries: Sequence[Entry[bytes]]) -> list[Record]:
        """A record an entry, framed."""
        frame = self._frame
        return [Record(e.key, frame + e.value, 1, len(frame) + e.size) for e in entries]


def _has_port(parts: urllib.parse.SplitResult) -> bool:
    """False where what stands behind the colon is no port: the end of a password, perhaps."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False
