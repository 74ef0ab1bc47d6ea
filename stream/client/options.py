"""A logger's settings: read from arguments and the environment, checked whole, then frozen."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from confluent_kafka import KafkaError

from stream.core.errors import ConfigError
from stream.delivery import DELIVERY

__all__ = [
    "Format",
    "KafkaValue",
    "OnError",
    "OnFull",
    "Options",
    "connection",
    "refusal",
    "topic_name",
]

Format = Literal["json", "avro", "arrow"]
OnFull = Literal["drop_oldest", "block", "raise"]
OnError = Literal["warn", "raise"]
KafkaValue = object
"""What librdkafka takes for a property: text, a number, a boolean, or a callback."""

_DEFAULT_PREFIX = "driftstream."
_ROW_LINGER_SECONDS = 0.02
_BATCH_LINGER_SECONDS = 0.5
_BATCH_SENDING_SECONDS = 0.005  # a batch waited before it was made; librdkafka sends it at once
_ONE_AT_A_TIME = (
    "requests must go one at a time, for librdkafka reports batches as delivered that a new leader "
    "refused"
)
# What delivery needs of a property that a user may set (see stream.delivery), and why.
_FIXED: Mapping[str, tuple[frozenset[str], str]] = {
    "max.in.flight": (frozenset({"1"}), _ONE_AT_A_TIME),
    "max.in.flight.requests.per.connection": (frozenset({"1"}), _ONE_AT_A_TIME),
    "enable.idempotence": (
        frozenset({"true", "t", "1"}),
        "without it what is sent again may arrive twice and out of order",
    ),
    "delivery.report.only.error": (
        frozenset({"false", "f", "0"}),
        "rows make room, and are counted, when they are reported as delivered",
    ),
}


@dataclass(frozen=True, slots=True)
class Options:
    """How rows are kept and sent. Raises ConfigError, naming the setting, where one is wrong.

    `kafka` holds librdkafka properties, complete; like `registry_url` it isn't shown, for it may
    hold a password.
    """

    topic: str
    kafka: Mapping[str, KafkaValue] = field(repr=False)
    format: Format = "json"
    on_full: OnFull = "drop_oldest"
    on_error: OnError = "warn"
    buffer_rows: int = 100_000
    buffer_bytes: int = 64 * 1024 * 1024
    block_seconds: float = 1.0
    linger_seconds: float | None = None
    batch_rows: int = 1_000
    exit_seconds: float = 5.0
    registry_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        choices_of = {"format": Format, "on_full": OnFull, "on_error": OnError}
        for name, choices in ((name, get_args(kind)) for name, kind in choices_of.items()):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name}: is {getattr(self, name)!r}, wants one of {', '.join(choices)}"
                )
        for name in ("buffer_rows", "buffer_bytes", "batch_rows"):
            _check_count(name, getattr(self, name))
        for name in ("block_seconds", "linger_seconds", "exit_seconds"):
            _check_seconds(name, getattr(self, name))
        if self.registry_url is not None and self.format != "avro":
            raise ConfigError(f'registry_url: is for format="avro", not {self.format!r}')
        for name, (allowed, why) in _FIXED.items():
            if name in self.kafka and str(self.kafka[name]).lower() not in allowed:
                raise ConfigError(
                    f"kafka: {name}: is {self.kafka[name]!r}, but {why}: leave it out"
                )

    @property
    def linger(self) -> float:
        """Seconds that a row may wait for others to travel with."""
        if self.linger_seconds is not None:
            return self.linger_seconds
        return _BATCH_LINGER_SECONDS if self.format == "arrow" else _ROW_LINGER_SECONDS

    @property
    def outstanding_rows(self) -> int:
        """How many of `buffer_rows` librdkafka may hold at a time; the others wait."""
        return max(1, self.buffer_rows // 2)

    @property
    def outstanding_bytes(self) -> int:
        """How many of `buffer_bytes` librdkafka may hold at a time."""
        return max(1, self.buffer_bytes // 2)

    @property
    def max_record_bytes(self) -> int:
        """The largest record that librdkafka takes, key and value together."""
        limit = self.kafka.get("message.max.bytes", 1_000_000)
        try:
            return int(str(limit)) - 1_024
        except ValueError as misfit:
            raise ConfigError(f"kafka: message.max.bytes: is {limit!r}, wants a number") from misfit

    def producer_properties(self) -> dict[str, KafkaValue]:
        """The properties for librdkafka: what the user gave, over what delivery needs."""
        kbytes = max(self.outstanding_bytes, self.max_record_bytes + 2_048) // 1_024 + 1
        linger = _BATCH_SENDING_SECONDS if self.format == "arrow" else self.linger
        return {
            **DELIVERY,
            "compression.type": "lz4",
            "linger.ms": linger * 1_000,
            "queue.buffering.max.messages": self.outstanding_rows,
            "queue.buffering.max.kbytes": kbytes,
            "reconnect.backoff.max.ms": 5_000,
            "log.connection.close": False,
            **self.kafka,
        }


def connection(
    bootstrap_servers: str | None, kafka: Mapping[str, KafkaValue] | None
) -> dict[str, KafkaValue]:
    """Properties for librdkafka with a broker's address in them.

    The address comes from the argument, else `kafka`, else KAFKA_BOOTSTRAP_SERVERS. Raises
    ConfigError where there is none.
    """
    properties = dict(kafka or {})
    given = bootstrap_servers or properties.get("bootstrap.servers")
    address = given or os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not address:
        raise ConfigError(
            "bootstrap_servers: is not set; pass it or set KAFKA_BOOTSTRAP_SERVERS (host:port)"
        )
    properties["bootstrap.servers"] = address
    return properties


def topic_name(logical: str, prefix: str | None) -> str:
    """The topic's name on the broker; a prefix of None means DRIFTSTREAM_TOPIC_PREFIX's."""
    if prefix is None:
        prefix = os.environ.get("DRIFTSTREAM_TOPIC_PREFIX", _DEFAULT_PREFIX)
    return prefix + logical


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name}: is {value!r}, wants an integer of at least 1")


def _check_seconds(name: str, value: object) -> None:
    if value is None and name == "linger_seconds":
        return
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{name}: is {value!r}, wants a number of seconds, 0 or more")


def refusal(refused: Exception) -> ConfigError:
    """What librdkafka has against a property, in its own words."""
    cause = refused.args[0] if refused.args else refused
    why = cause.str() if isinstance(cause, KafkaError) else cause
    return ConfigError(f"kafka: librdkafka refuses a property: {why}")
