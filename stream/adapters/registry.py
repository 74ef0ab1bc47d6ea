"""A Schema Registry client (Confluent's API, which Apicurio and Redpanda serve as well)."""

from __future__ import annotations

import base64
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import fastavro
import orjson
from fastavro.schema import SchemaParseException

from stream.core.errors import BrokerError, ConfigError, SchemaError

__all__ = ["RegistryClient"]

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_REFERENCES = 100
_UNKNOWN = (40401, 40402, 40403)  # error codes: subject, version, schema not found


@dataclass(frozen=True, slots=True)
class _Known:
    schema: dict[str, Any] | None
    until: float  # monotonic seconds; infinite for a schema, which never changes


class RegistryClient:
    """Avro schemas by id, asked for once and then kept.

    A schema is kept for ever, "there is none" for `unknown_for_s`, both among the `max_schemas`
    used last. Safe for use from several threads. Credentials come as arguments or within the
    URL; they stand in no error text and no representation, and follow no redirect.

    Raises ConfigError where the URL is not an http or https one.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password: str = "",
        timeout_s: float = 5.0,
        unknown_for_s: float = 60.0,
        max_schemas: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, in_url = _without_credentials(url)
        self._authorization = _basic(user, password) if user else in_url
        self._timeout_s = timeout_s
        self._unknown_for_s = unknown_for_s
        self._max_schemas = max_schemas
        self._clock = clock
        self._kept: OrderedDict[int, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RegistryClient({self._url!r})"

    def get(self, schema_id: int) -> dict[str, Any] | None:
        """The Avro schema with this id, parsed for fastavro, the schemas it refers to included.

        None where the registry knows no such schema, or knows one that is not Avro. Raises
        BrokerError where it does not answer in time, refuses us or fails: try again later.
        """
        with self._lock:
            known = self._kept.get(schema_id)
            if known is not None and self._clock() < known.until:
                self._kept.move_to_end(schema_id)
                return known.schema
        schema = self._fetch(schema_id)
        until = float("inf") if schema is not None else self._clock() + self._unknown_for_s
        with self._lock:
            self._kept[schema_id] = _Known(schema, until)
            self._kept.move_to_end(schema_id)
            while len(self._kept) > self._max_schemas:
                self._kept.popitem(last=False)
        return schema

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """The id of the schema under this subject (`<topic>-value`), registered if it is new.

        Raises SchemaError where the registry refuses it (incompatible with the versions before
        it, or not valid), BrokerError where the registry is not to be had.
        """
        body = orjson.dumps({"schema": orjson.dumps(schema).decode()})
        answer = self._ask(f"/subjects/{quote(subject, safe='')}/versions", body)
        if answer is None or not isinstance(answer.get("id"), int):
            raise SchemaError(f"{self._url}: registering {subject} got no id: {answer}")
        return int(answer["id"])

    def _fetch(self, schema_id: int) -> dict[str, Any] | None:
        answer = self._ask(f"/schemas/ids/{schema_id}")
        if answer is None or answer.get("schemaType", "AVRO") != "AVRO":
            return None
        try:
            named: dict[str, dict[str, Any]] = {}
            self._name_references(answer, named, set())
            source = orjson.loads(answer["schema"])
            parsed = fastavro.parse_schema(source, named_schemas=named, expand=True)
        except (SchemaParseException, ValueError, KeyError, TypeError, RecursionError):
            return None
        return parsed if isinstance(parsed, dict) else None

    def _name_references(
        self, answer: dict[str, Any], named: dict[str, dict[str, Any]], seen: set[tuple[str, int]]
    ) -> None:
        """Parses the schemas that an answer refers to, and those that these refer to, first."""
        for reference in answer.get("references") or ():
            subject, version = str(reference["subject"]), int(reference["version"])
            if (subject, version) in seen:
                continue
            seen.add((subject, version))
            if len(seen) > _MAX_REFERENCES:
                raise ValueError(f"more than {_MAX_REFERENCES} references")
            found = self._ask(f"/subjects/{quote(subject, safe='')}/versions/{version}")
            if found is None:
                raise ValueError(f"refers to {subject} {version}, which is not there")
            self._name_references(found, named, seen)
            fastavro.parse_schema(orjson.loads(found["schema"]), named_schemas=named, expand=True)

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any] | None:
        """The answer's object; None where the registry says that there is no such thing."""
        request = urllib.request.Request(self._url + path, data=body)  # noqa: S310  # http(s) only
        request.add_header("Accept", f"{_MEDIA_TYPE}, application/json")
        if body is not None:
            request.add_header("Content-Type", _MEDIA_TYPE)
        if self._authorization:
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:  # noqa: S310  # http(s) only
                content = response.read(_MAX_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as refused:
            with refused:
                self._raise_unless_unknown(path, refused)
            return None
        except (OSError, HTTPException) as failed:  # URLError and timeouts are OSErrors
            raise BrokerError(
                f"the schema registry {self._url} does not answer: {failed}"
            ) from failed
        if len(content) > _MAX_ANSWER_BYTES:
            raise BrokerError(f"{self._url}{path}: answers more than {_MAX_ANSWER_BYTES} bytes")
        return self._object(path, content)

    def _raise_unless_unknown(self, path: str, refused: urllib.error.HTTPError) -> None:
        """Raises what a refusal means, unless it is the registry's "there is no such thing".

        A bare 404, of a wrong path or of a proxy, says nothing about schemas.
        """
        try:
            said = orjson.loads(refused.read(_MAX_ANSWER_BYTES))
        except (orjson.JSONDecodeError, OSError):
            said = {}
        said = said if isinstance(said, dict) else {}
        if refused.code == 404 and said.get("error_code") in _UNKNOWN:
            return
        text = f"{self._url}{path}: HTTP {refused.code} {said.get('message') or refused.reason}"
        if refused.code in (409, 422):
            raise SchemaError(f"the schema registry refuses: {text}")
        if refused.code in (401, 403):
            raise BrokerError(f"{text}: check the registry's user and password")
        raise BrokerError(f"the schema registry fails: {text}")

    def _object(self, path: str, content: bytes) -> dict[str, Any]:
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError as broken:
            raise BrokerError(
                f"{self._url}{path}: is this a registry? No JSON: {broken}"
            ) from broken
        if not isinstance(answer, dict):
            raise BrokerError(f"{self._url}{path}: is this a registry? It answered no object")
        return answer


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _without_credentials(url: str) -> tuple[str, str]:
    """The URL without user and password, without a slash at its end, and their header's value."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("registry_url must be http://host[:port][/path] or https://…")
    host = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if not parts.username:
        return plain, ""
    return plain, _basic(unquote(parts.username), unquote(parts.password or ""))
