"""What can be set, with types, defaults and one line each; printable without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    model_validator,
)

from stream.core.errors import ConfigError
from stream.core.rules import Bounds
from stream.core.specs import TimeSpec
from stream.delivery import ENGINE_OWNED

__all__ = ["KafkaProperties", "Settings", "flatten", "parse_duration"]

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECRET = re.compile(r"pass|secret|token|credential|oauth|jaas|private|\.pem$|^(sasl|ssl)\.")
_PUBLIC = re.compile(  # of sasl.* and ssl.*; whatever else begins so may be a secret, or a typo
    r"sasl\.(mechanisms?|username|kerberos\.(service\.name|principal|keytab))"
    r"|sasl\.oauthbearer\.(method|client\.id|scope)"
    r"|ssl\.(ca|certificate|key|keystore|crl)\.location"
    r"|ssl\.(endpoint\.identification\.algorithm|cipher\.suites|curves\.list|sigalgs\.list)"
    r"|enable\.ssl\.certificate\.verification"
)
_IN_URL = re.compile(r"(?<=://)[^/\s]*@")  # user and password before a host's name
_MASK = "**********"


def parse_duration(value: object) -> int:
    """Milliseconds of a text such as `500ms`, `30s`, `1.5m`, `1h` or `7d`.

    >>> parse_duration("1.5m")
    90000
    """
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no duration: write a number and a unit, such as 500ms, 30s")
    return round(float(match[1]) * _UNIT_MS[match[2]])


def _words(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Duration = Annotated[int, BeforeValidator(parse_duration)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


@dataclass(frozen=True, slots=True, repr=False)
class KafkaProperties:
    """librdkafka properties as given, without those that hold secrets in any printed form."""

    values: Mapping[str, str]

    def masked(self) -> dict[str, str]:
        """The properties with every secret, and what may be one, replaced by asterisks."""
        return {name: _shown(name, value) for name, value in sorted(self.values.items())}

    def __repr__(self) -> str:
        return f"KafkaProperties({self.masked()})"


def _shown(name: str, value: str) -> str:
    if _SECRET.search(name) and not _PUBLIC.fullmatch(name):
        return _MASK
    return _IN_URL.sub(f"{_MASK}@", value)


def _kafka_properties(value: object) -> object:
    if isinstance(value, KafkaProperties):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be a table of librdkafka properties")
    flat: dict[str, str] = {}
    flatten(value, "", flat)
    owned = sorted(ENGINE_OWNED.intersection(flat))
    if owned:
        raise ValueError(f"{', '.join(owned)}: set by driftstream itself, and cannot be changed")
    return KafkaProperties(MappingProxyType(flat))


def flatten(table: Mapping[str, Any], path: str, into: dict[str, str]) -> None:
    """Adds a table's entries under flat names: TOML reads `sasl.password = …` as nested tables."""
    for key, value in table.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            flatten(value, f"{name}.", into)
        elif isinstance(value, bool):
            into[name] = str(value).lower()
        else:
            into[name] = str(value)


def _ends_with_separator(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", value):
        raise ValueError("may hold letters, digits, dots, dashes and underscores only")
    return value


def _are_sources(names: tuple[str, ...]) -> tuple[str, ...]:
    known = ("features", "predictions", "labels")
    if not names or not set(known).issuperset(names):
        raise ValueError(f"must be among {', '.join(known)}")
    if "predictions" not in names and "labels" in names:
        raise ValueError("names labels without the predictions that they belong to")
    if len(set(names)) != len(names):
        raise ValueError("names a topic twice")
    return names


class Settings(BaseModel):
    """Every setting with its default; durations are milliseconds once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    bootstrap_servers: str = Field("", description="Kafka brokers, host:port[,host:port]")
    topic_prefix: Annotated[str, AfterValidator(_ends_with_separator)] = Field(
        "driftstream.", description="put before every topic, group and changelog name"
    )
    kafka: Annotated[KafkaProperties, BeforeValidator(_kafka_properties)] = Field(
        default_factory=lambda: KafkaProperties(MappingProxyType({})),
        description="librdkafka properties, such as security.protocol or sasl.password",
    )
    registry_url: str = Field("", description="Schema Registry, for Avro rows in Confluent frames")
    registry_user: str = Field("", description="user name for the registry (basic authentication)")
    registry_password: SecretStr = Field(SecretStr(""), description="its password")

    sources: Annotated[Words, AfterValidator(_are_sources)] = Field(
        ("features", "predictions", "labels"),
        description="input topics that this deployment uses",
    )
    partitions: int = Field(6, ge=1, description="partitions of input topics that we create")
    partials_partitions: int = Field(
        0, ge=0, le=16, description="partitions of `partials`; 0: as many as the inputs, at most 16"
    )
    replication: int = Field(
        0, ge=0, description="replicas of topics that we create; 0: 3, or as many as brokers"
    )

    pane: Duration = Field(60_000, ge=1, description="length of a pane, the unit of windows")
    out_of_orderness: Duration = Field(30_000, ge=0, description="how far rows may be out of order")
    max_clock_skew: Duration = Field(300_000, ge=0, description="later event times are rejected")
    idle_after: Duration = Field(30_000, ge=1, description="silence after which panes don't wait")
    max_hold: Duration = Field(900_000, ge=1, description="how long a stuck partition holds panes")

    early_label_horizon: Duration = Field(
        3_600_000, ge=0, description="how long before its prediction a label may come"
    )
    label_patience: Duration = Field(
        3_600_000, ge=1, description="silence of all labels after which a window doesn't wait"
    )
    max_lead: Duration = Field(
        600_000, ge=1, description="how far predictions or labels are read ahead of the other"
    )
    max_pending: int = Field(
        1_000_000, ge=1, description="predictions kept for their labels, a partition"
    )
    max_waiting: int = Field(
        1_000_000, ge=1, description="labels kept for their predictions, a partition"
    )

    max_models: int = Field(
        10_000, ge=1, description="model@versions with rows, a partition of `partials`"
    )
    max_raw_rows: int = Field(
        1_000_000, ge=2, description="rows that wait for profiles, a partition of `partials`"
    )

    commit_interval: Duration = Field(1_000, ge=1, description="time between transactions")
    slice_records: int = Field(2_000, ge=1, description="records taken at once, at most")
    slice_bytes: int = Field(4_194_304, ge=1, description="bytes taken at once, about")
    transaction_timeout: Duration = Field(
        10_000, ge=1_000, le=900_000, description="Kafka's, for transactions: at most 15m"
    )
    session_timeout: Duration = Field(10_000, ge=1_000, description="Kafka's, for group members")
    instance_id: str = Field("", description="static membership: a name that survives restarts")

    start_from: Literal["earliest", "latest"] = Field(
        "earliest", description="where a partition is read from that was never read"
    )

    max_invalid_share: float = Field(
        0.5, ge=0, le=1, description="rejected share over a minute that pauses a partition"
    )
    max_features: int = Field(1_000, ge=1, description="features in one row, at most")
    max_record_bytes: int = Field(8_388_608, ge=1_024, description="size of a record, at most")

    http_host: str = Field("127.0.0.1", description="where /metrics, /livez and /readyz listen")
    http_port: int = Field(8080, ge=0, le=65_535, description="their port; 0: any free one")
    metrics_models: int = Field(100, ge=0, description="models with series of their own")
    metrics_top_features: int = Field(5, ge=0, description="features a model with a score series")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is logged"
    )
    log_format: Literal["text", "json"] = Field("text", description="log lines as text or JSON")

    @model_validator(mode="before")
    @classmethod
    def _credentials_apart(cls, values: Any) -> Any:
        """Takes user and password out of the registry's URL, from where they would be printed."""
        url = values.get("registry_url") if isinstance(values, dict) else None
        if not isinstance(url, str) or "@" not in url:
            return values
        scheme, slashes, rest = url.partition("://")
        login, _, place = rest.rpartition("@")
        user, _, password = login.partition(":")
        given = {"registry_user": unquote(user), "registry_password": unquote(password)}
        return {**given, **values, "registry_url": f"{scheme}{slashes}{place}"}

    @field_serializer("kafka")
    def _masked(self, kafka: KafkaProperties) -> dict[str, str]:
        return kafka.masked()

    @property
    def time(self) -> TimeSpec:
        """The deployment's time rules."""
        return TimeSpec(
            pane_ms=self.pane,
            out_of_orderness_ms=self.out_of_orderness,
            max_clock_skew_ms=self.max_clock_skew,
            idle_after_ms=self.idle_after,
            max_hold_ms=self.max_hold,
            early_label_horizon_ms=self.early_label_horizon,
            label_patience_ms=self.label_patience,
            max_lead_ms=self.max_lead,
        )

    @property
    def bounds(self) -> Bounds:
        """What a detect task keeps at the most."""
        return Bounds(models=self.max_models, raw_rows=self.max_raw_rows)

    def client_config(self) -> dict[str, str]:
        """What every librdkafka client is given, secrets in clear; ConfigError without a broker."""
        if not self.bootstrap_servers:
            raise ConfigError(
                "no Kafka broker is named: give --bootstrap-servers, or set "
                "KAFKA_BOOTSTRAP_SERVERS (for a broker on this machine: `driftstream dev kafka`)"
            )
        return {**self.kafka.values, "bootstrap.servers": self.bootstrap_servers}

    def describe(self) -> dict[str, object]:
        """Every setting as plain values, durations in milliseconds, secrets masked."""
        plain: dict[str, object] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, KafkaProperties):
                value = value.masked()
            elif isinstance(value, SecretStr):
                value = _MASK if value.get_secret_value() else ""
            plain[name] = list(value) if isinstance(value, tuple) else value
        return plain
