"""The topic table: what each topic carries, who uses it, and how it must be made.

Topics are named by their logical name (`predictions`); a deployment's prefix makes the real name
(`driftstream.predictions`). Everything that says something about topics is made from this table:
the topics that we create, the checks of those that exist, docs/topics.md and the AsyncAPI
document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from stream.core.errors import TopicError

__all__ = [
    "DEFAULT_PREFIX",
    "MAX_PARTIALS_PARTITIONS",
    "TOPICS",
    "Direction",
    "Format",
    "PartitionRule",
    "Topic",
    "changelog",
    "partition_count",
    "real_name",
    "topic",
]

DEFAULT_PREFIX = "driftstream."
MAX_PARTIALS_PARTITIONS = 16

_DAY_MS = 24 * 60 * 60 * 1000
_CHANGELOG_SEGMENT_BYTES = 32 * 1024 * 1024


class Direction(StrEnum):
    """Who writes and who reads a topic, seen from driftstream's users."""

    WRITE = "write"  # users write, we read
    READ = "read"  # we write, users read
    BOTH = "both"  # users and we write, users and we read
    INTERNAL = "internal"  # ours alone


class Format(StrEnum):
    """A value's content type."""

    JSON = "application/json"
    AVRO = "application/avro"
    ARROW = "application/vnd.apache.arrow.stream"
    CLOUDEVENT = "application/cloudevents"
    BINARY = "application/octet-stream"


class PartitionRule(StrEnum):
    """How many partitions a topic has."""

    SOURCES = "as many as predictions has"
    PARTIALS = "as many as predictions has, at most 16"
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table.

    `schemas` are names of `stream.schemas`, empty for a changelog's chunks. `formats` are what a
    value may be. Where `exact` is false the rule only says how the topic is created: another
    number of partitions works as well. `retention_ms` None keeps records for ever.
    """

    name: str
    summary: str
    key: str
    schemas: tuple[str, ...]
    formats: tuple[Format, ...]
    direction: Direction
    partitions: PartitionRule
    cleanup: tuple[str, ...]
    retention_ms: int | None
    exact: bool = True
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def config(self, replication: int) -> dict[str, str]:
        """The topic's configuration on a broker, for this many replicas.

        LogAppendTime everywhere: retention then counts from arrival, and the Kafka timestamp is
        a clock that no producer can bend. With three replicas or more a write needs two.
        """
        config = {
            "cleanup.policy": ",".join(self.cleanup),
            "message.timestamp.type": "LogAppendTime",
            **self.settings,
        }
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if replication >= 3:
            config["min.insync.replicas"] = "2"
        return config


_ROWS = (Format.JSON, Format.AVRO, Format.ARROW)


def _input(name: str, summary: str, schema: str) -> Topic:
    """A topic that users write rows to."""
    return Topic(
        name=name,
        summary=summary,
        key="prediction_id",
        schemas=(schema,),
        formats=_ROWS,
        direction=Direction.WRITE,
        partitions=PartitionRule.SOURCES,
        cleanup=("delete",),
        retention_ms=7 * _DAY_MS,
    )


TOPICS: tuple[Topic, ...] = (
    _input("features", "Features published apart from their predictions.", "feature_row"),
    _input("predictions", "One prediction a record, or an Arrow batch of them.", "prediction"),
    _input("labels", "One label (ground truth) a record, or an Arrow batch of them.", "label"),
    Topic(
        name="joined",
        summary="Predictions with their labels, of models whose monitor asks for it.",
        key="prediction_id",
        schemas=("joined",),
        formats=(Format.JSON,),
        direction=Direction.READ,
        partitions=PartitionRule.SOURCES,
        cleanup=("delete",),
        retention_ms=7 * _DAY_MS,
    ),
    Topic(
        name="profiles",
        summary="Reference profiles; immutable once published.",
        key="model@version/content hash",
        schemas=("reference_profile",),
        formats=(Format.JSON,),
        direction=Direction.BOTH,
        partitions=PartitionRule.ONE,
        cleanup=("compact",),
        retention_ms=None,
    ),
    Topic(
        name="monitors",
        summary="What is watched about each model, and when it alerts.",
        key="model",
        schemas=("monitor",),
        formats=(Format.JSON,),
        direction=Direction.BOTH,
        partitions=PartitionRule.ONE,
        cleanup=("compact",),
        retention_ms=None,
    ),
    Topic(
        name="partials",
        summary="Mergeable pane statistics and the watermarks of the source partitions.",
        key="none: the partition is chosen by the model",
        schemas=("pane_partial",),
        formats=(Format.AVRO,),
        direction=Direction.INTERNAL,
        partitions=PartitionRule.PARTIALS,
        cleanup=("delete",),
        retention_ms=7 * _DAY_MS,
    ),
    Topic(
        name="windows",
        summary="Closed windows: their statistics and scores.",
        key="model@version",
        schemas=("window_result",),
        formats=(Format.JSON,),
        direction=Direction.READ,
        partitions=PartitionRule.PARTIALS,
        cleanup=("delete",),
        retention_ms=90 * _DAY_MS,
        exact=False,
    ),
    Topic(
        name="alerts",
        summary="Incidents opened, updated and resolved.",
        key="incident id",
        schemas=("alert",),
        formats=(Format.CLOUDEVENT,),
        direction=Direction.READ,
        partitions=PartitionRule.ONE,
        cleanup=("compact", "delete"),
        retention_ms=90 * _DAY_MS,
        exact=False,
    ),
    Topic(
        name="retrain-requests",
        summary="Requests to retrain a model or to roll it back.",
        key="request id",
        schemas=("retrain_request",),
        formats=(Format.CLOUDEVENT,),
        direction=Direction.BOTH,
        partitions=PartitionRule.ONE,
        cleanup=("compact", "delete"),
        retention_ms=90 * _DAY_MS,
        exact=False,
    ),
    Topic(
        name="retrain-status",
        summary="What became of the requests, told by triggers and pipelines.",
        key="request id",
        schemas=("retrain_status",),
        formats=(Format.CLOUDEVENT,),
        direction=Direction.BOTH,
        partitions=PartitionRule.ONE,
        cleanup=("compact", "delete"),
        retention_ms=90 * _DAY_MS,
        exact=False,
    ),
    Topic(
        name="dead-letters",
        summary="Rejected records: their bytes as they came, where they stood, and why.",
        key="the source record's key",
        schemas=("dead_letter",),
        formats=(Format.AVRO,),
        direction=Direction.READ,
        partitions=PartitionRule.PARTIALS,
        cleanup=("delete",),
        retention_ms=30 * _DAY_MS,
        exact=False,
    ),
)

_BY_NAME = {each.name: each for each in TOPICS}


def topic(name: str) -> Topic:
    """The table's row of this logical name; raises TopicError where there is none."""
    try:
        return _BY_NAME[name]
    except KeyError as missing:
        raise TopicError(f"no topic {name!r}; there are {', '.join(_BY_NAME)}") from missing


def changelog(agent: str, inputs: Iterable[str]) -> Topic:
    """The changelog of an agent that reads these topics (logical names).

    It has as many partitions as they have. Small segments and an eager cleaner: the active
    segment is never compacted, and what isn't compacted has to be read at every restore.
    """
    rules = {topic(name).partitions for name in inputs}
    if len(rules) != 1:
        raise TopicError(f"{agent}: its inputs must have one number of partitions, not {rules}")
    return Topic(
        name=f"{agent}-changelog",
        summary=f"State of the {agent} agent's tasks.",
        key="task, time bucket and sequence",
        schemas=(),
        formats=(Format.BINARY,),
        direction=Direction.INTERNAL,
        partitions=rules.pop(),
        cleanup=("compact",),
        retention_ms=None,
        settings=MappingProxyType(
            {
                "segment.bytes": str(_CHANGELOG_SEGMENT_BYTES),
                "min.cleanable.dirty.ratio": "0.1",
            }
        ),
    )


def partition_count(rule: PartitionRule, sources: int, partials: int = 0) -> int:
    """The number of partitions by a rule, the input topics having `sources` of them.

    `partials` is the deployment's setting for `partials`, 0 for as many as fit.

    >>> partition_count(PartitionRule.PARTIALS, sources=24)
    16
    """
    if rule is PartitionRule.ONE:
        return 1
    if rule is PartitionRule.PARTIALS:
        return partials or min(sources, MAX_PARTIALS_PARTITIONS)
    return sources


def real_name(prefix: str, name: str) -> str:
    """The name on the broker of the topic with this logical name."""
    return f"{prefix}{name}"
