"""The AsyncAPI 3.1 document: every topic, made from the topic table and the schemas."""

from __future__ import annotations

from typing import Any

from stream import schemas
from stream.json_schema import json_schema
from stream.topics import (
    DEFAULT_PREFIX,
    TOPICS,
    Direction,
    Format,
    PartitionRule,
    Topic,
    real_name,
)

__all__ = ["document"]

_INTERFACE_VERSION = "1.0.0"
_BINDING = "0.5.0"
_AVRO_FORMAT = "application/vnd.apache.avro+json;version=1.9.0"
_ABOUT = (
    "driftstream joins features, predictions and labels on Kafka, finds drift in their windows, "
    "and emits alerts and retrain requests. Operations are told from driftstream's side: what it "
    "receives is what you produce, what it sends is what you can consume."
)
_KEYED = (
    "Partitioned by murmur2 of the key, as the Java client does by default; with librdkafka set "
    "partitioner=murmur2_random."
)
_FORMATS = {
    Format.JSON: "JSON",
    Format.AVRO: "Avro",
    Format.ARROW: "Arrow",
    Format.CLOUDEVENT: "Event",
}
_ACTIONS = {
    Direction.WRITE: ("receive",),
    Direction.READ: ("send",),
    Direction.BOTH: ("receive", "send"),
    Direction.INTERNAL: ("send", "receive"),
}


def document(prefix: str = DEFAULT_PREFIX, host: str = "localhost:9092") -> dict[str, Any]:
    """The document of a deployment with this topic prefix and broker; the same every time."""
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        own = {_message_id(name, f): _message(topic, name, f) for name, f in _kinds(topic)}
        messages.update(own)
        channels[topic.name] = _channel(topic, prefix, tuple(own))
        for action in _ACTIONS[topic.direction]:
            operations[_operation_id(action, topic)] = _operation(action, topic, tuple(own))
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "driftstream",
            "version": _INTERFACE_VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": Format.JSON.value,
        "servers": {"kafka": {"host": host, "protocol": "kafka"}},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": _schemas(),
        },
    }


def _kinds(topic: Topic) -> tuple[tuple[str, Format], ...]:
    return tuple((name, each) for name in topic.schemas for each in topic.formats)


def _schemas() -> dict[str, Any]:
    """Every record as Avro, and as JSON Schema those that travel as JSON."""
    made: dict[str, Any] = {
        name: {"schemaFormat": _AVRO_FORMAT, "schema": schemas.source(name)}
        for name in schemas.names()
    }
    json = {name for t in TOPICS for name, f in _kinds(t) if f in {Format.JSON, Format.CLOUDEVENT}}
    made.update({f"{name}_json": json_schema(name) for name in sorted(json)})
    made["cloudevent_headers"] = _cloudevent_headers()
    return made


def _cloudevent_headers() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, Kafka binding, binary mode. Dedupe by ce_id.",
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": text,
            "ce_source": text,
            "ce_type": text,
            "ce_subject": text,
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_dataschema": {"type": "string", "format": "uri"},
            "ce_traceparent": text,
            "content-type": {"type": "string", "const": Format.JSON.value},
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"],
    }


def _channel(topic: Topic, prefix: str, messages: tuple[str, ...]) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "cleanup.policy": list(topic.cleanup),
        "message.timestamp.type": "LogAppendTime",
    }
    if topic.retention_ms is not None:
        configuration["retention.ms"] = topic.retention_ms
    binding: dict[str, Any] = {
        "topic": real_name(prefix, topic.name),
        "topicConfiguration": configuration,
        "bindingVersion": _BINDING,
    }
    if topic.partitions is PartitionRule.ONE:
        binding["partitions"] = 1
    keyed = f" {_KEYED}" if topic.partitions is PartitionRule.SOURCES else ""
    internal = " Internal: no interface, it may change." * (topic.direction is Direction.INTERNAL)
    return {
        "address": real_name(prefix, topic.name),
        "title": topic.name,
        "description": f"{topic.summary} Key: {topic.key}. "
        f"Partitions: {topic.partitions.value}.{keyed}{internal}",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": binding},
    }


def _operation(action: str, topic: Topic, messages: tuple[str, ...]) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "summary": topic.summary,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in messages],
    }


def _message(topic: Topic, name: str, form: Format) -> dict[str, Any]:
    record = schemas.source(name)
    message: dict[str, Any] = {
        "name": _message_id(name, form),
        "title": f"{record['name']} ({_FORMATS[form]})",
        "summary": record["doc"],
        "bindings": {"kafka": _message_binding(topic)},
    }
    if form is Format.ARROW:
        message["contentType"] = form.value
        message["description"] = (
            "An Arrow IPC stream; a row of it is a record. Columns have the fields' names, each "
            "feature is a column features.<name>; model and version may stand in the schema's "
            "metadata."
        )
    elif form is Format.AVRO:
        message["contentType"] = form.value
        message["payload"] = {"$ref": f"#/components/schemas/{name}"}
    else:
        message["contentType"] = Format.JSON.value
        message["payload"] = {"$ref": f"#/components/schemas/{name}_json"}
    if form is Format.CLOUDEVENT:
        message["headers"] = {"$ref": "#/components/schemas/cloudevent_headers"}
    return message


def _message_binding(topic: Topic) -> dict[str, Any]:
    key = {"type": "string", "description": topic.key}
    return {"key": key, "bindingVersion": _BINDING}


def _message_id(name: str, form: Format) -> str:
    """Such as `predictionArrow`: letters and digits, which every tool can make a name of."""
    words = name.split("_")
    return words[0] + "".join(map(str.capitalize, words[1:])) + _FORMATS[form]


def _operation_id(action: str, topic: Topic) -> str:
    return action + "".join(map(str.capitalize, topic.name.split("-")))
