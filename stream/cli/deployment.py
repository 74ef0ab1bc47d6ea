"""What a deployment's topics say of its models: monitors, profiles, whether there are windows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import orjson
from confluent_kafka import Message

from stream import schemas
from stream.adapters.kafka.compacted import latest
from stream.adapters.monitor_topic import MonitorRecord, monitors_of_records
from stream.adapters.monitors import MonitorChanges
from stream.cli.output import say
from stream.cli.reading import read_topic
from stream.core.errors import ConfigError, ProfileError, SchemaError
from stream.core.pane.reference import profile_from_record
from stream.core.records import ModelKey
from stream.core.specs import Profile
from stream.settings import Settings

__all__ = [
    "all_monitors",
    "all_profiles",
    "has_windows",
    "models_with_windows",
    "monitors_of",
    "parse_time",
]


def all_monitors(settings: Settings) -> dict[str, MonitorChanges]:
    """Every model's monitors; records that aren't monitors are told on stderr and passed over."""
    messages = read_topic(settings, "monitors", from_beginning=True, follow=False)
    records = (record for message in messages if (record := _monitor_record(message)) is not None)
    found, skipped = monitors_of_records(records, settings.time.pane_ms)
    for each in skipped:
        stands = "; the one before it stays in force" if each.kept else ""
        key = each.record.key.decode(errors="replace")
        say(f"warning: monitors, key {key}, offset {each.record.offset}: {each.problem}{stands}")
    return found


def monitors_of(settings: Settings, model: str) -> MonitorChanges:
    """One model's monitors, empty where it has none of its own."""
    return all_monitors(settings).get(model, ())


def all_profiles(settings: Settings) -> list[Profile]:
    """The topic's profiles in the order of their offsets; others are told and passed over."""
    found: list[Profile] = []
    messages = read_topic(settings, "profiles", from_beginning=True, follow=False)
    for key, value in latest(messages).items():
        try:
            found.append(profile_from_record(schemas.decode_json("reference_profile", value)))
        except (SchemaError, ProfileError) as error:
            say(f"warning: profiles, key {key.decode(errors='replace')}: {error}")
    return found


def models_with_windows(settings: Settings, models: Collection[str]) -> set[str]:
    """Those of the models that ever had a window; reads `windows` until all are found."""
    waiting = {model: f"{model}@".encode() for model in models}
    found: set[str] = set()
    if not waiting:
        return found
    for message in read_topic(settings, "windows", from_beginning=True, follow=False):
        key, value = message.key() or b"", message.value()
        if value is None or not any(key.startswith(prefix) for prefix in waiting.values()):
            continue
        model = _field(value, "model")
        if model in waiting:
            found.add(model)
            del waiting[model]
        if not waiting:
            break
    return found


def has_windows(settings: Settings, model: ModelKey) -> bool:
    """Whether a window of this model@version was ever emitted."""
    wanted = model.key.encode()
    for message in read_topic(settings, "windows", from_beginning=True, follow=False):
        key, value = message.key(), message.value()
        if key == wanted and value is not None and _field(value, "model") == model.model:
            return True
    return False


def parse_time(text: str) -> int:
    """UTC milliseconds of an ISO 8601 time (without a zone: UTC) or of a plain number of them."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no time; write 2026-12-01T00:00Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _monitor_record(message: Message) -> MonitorRecord | None:
    """A message of the topic; None for one without a key, which compaction refuses anyhow."""
    key = message.key()
    return None if key is None else MonitorRecord(message.offset() or 0, key, message.value())


def _field(value: bytes, name: str) -> str:
    try:
        record = orjson.loads(value)
    except orjson.JSONDecodeError:
        return ""
    field = record.get(name) if isinstance(record, dict) else None
    return field if isinstance(field, str) else ""
