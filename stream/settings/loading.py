"""Where settings come from: options, the environment, a TOML file; every problem with its place."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from stream.core.errors import ConfigError
from stream.settings.model import Settings, flatten

__all__ = ["load_settings"]

_PREFIX = "DRIFTSTREAM_"
_KAFKA_PREFIX = "DRIFTSTREAM_KAFKA_"
_FILE_SUFFIX = "_file"

# Names that other parts read, and those that Kubernetes sets for a service called driftstream.
_NOT_OURS = re.compile(
    r"DRIFTSTREAM_(CACHE|CONFIG|SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_\d+_.*)", re.ASCII
)


def load_settings(
    options: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings from options, then the environment, then a TOML file.

    Options that are None count as not given; `kafka` among them is a table of librdkafka
    properties. Without `file`, DRIFTSTREAM_CONFIG may name one. Raises ConfigError that lists
    every problem with its place, unknown keys, each with the nearest known one, and wrong values
    alike; a file that is no TOML is told alone.
    """
    environ = os.environ if environ is None else environ
    if file is None and environ.get("DRIFTSTREAM_CONFIG"):
        file = Path(environ["DRIFTSTREAM_CONFIG"])
    given_options = {key: value for key, value in (options or {}).items() if value is not None}
    layers: list[tuple[str, Mapping[str, object]]] = [
        ("environment", _from_environment(environ)),
        ("options", given_options),
    ]
    if file is not None:
        layers.insert(0, (str(file), _from_file(file)))
    problems: list[str] = []
    values, origin = _merged(layers, problems)
    problems += _unknown(origin)
    known = {name: value for name, value in values.items() if name in Settings.model_fields}
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        problems += _explain(error, origin)
    if problems:
        raise ConfigError("\n".join(problems))  # not from the other: its text would show secrets
    return settings


def _merged(
    layers: Iterable[tuple[str, Mapping[str, object]]], problems: list[str]
) -> tuple[dict[str, object], dict[str, str]]:
    """Each setting's value in the last layer that has it, and the place of that layer."""
    merged: dict[str, object] = {}
    origin: dict[str, str] = {}
    kafka: dict[str, object] = {}
    for place, layer in layers:
        plain = dict(layer)
        table = plain.pop("kafka", {})
        properties: dict[str, str] = {}
        if isinstance(table, Mapping):
            flatten(table, "", properties)
        else:
            problems.append(f"{place}: kafka must be a table of librdkafka properties")
        kafka |= _read_named_files(properties, f"{place}, kafka", problems)
        resolved = _read_named_files(plain, place, problems)
        merged |= resolved
        origin |= dict.fromkeys(resolved, place)
    return {**merged, "kafka": kafka}, origin


def _from_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the settings file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: this is no TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    kafka: dict[str, str] = {}
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        found["bootstrap_servers"] = environ["KAFKA_BOOTSTRAP_SERVERS"]
    for name, value in sorted(environ.items()):
        if name.startswith(_KAFKA_PREFIX):
            key = name.removeprefix(_KAFKA_PREFIX).lower()
            suffix = _FILE_SUFFIX if key.endswith(_FILE_SUFFIX) else ""
            kafka[key.removesuffix(suffix).replace("_", ".") + suffix] = value
        elif name.startswith(_PREFIX) and not _NOT_OURS.fullmatch(name):
            found[name.removeprefix(_PREFIX).lower()] = value
    if kafka:
        found["kafka"] = kafka
    return found


def _read_named_files(
    table: Mapping[str, object], place: str, problems: list[str]
) -> dict[str, object]:
    """Replaces each `name_file` by `name` with the file's content, less its last newline."""
    read: dict[str, object] = {}
    for name, value in table.items():
        if not name.endswith(_FILE_SUFFIX):
            read[name] = value
            continue
        target = name.removesuffix(_FILE_SUFFIX)
        if target in table:
            problems.append(f"{place}: both {target} and {name} are given: keep one")
            continue
        try:
            read[target] = Path(str(value)).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{place}: {name}: {value} cannot be read: {error}")
    return read


def _unknown(origin: Mapping[str, str]) -> list[str]:
    known = Settings.model_fields
    return [
        f"{place}: there is no setting `{name}`{_nearest(name, known)}"
        for name, place in origin.items()
        if name not in known
    ]


def _nearest(name: str, known: Iterable[str]) -> str:
    if "." in name:
        return f"; a property of the Kafka client is `kafka.{name.removeprefix('kafka.')}`"
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean `{near[0]}`?" if near else " (all of them: docs/configuration.md)"


def _explain(error: ValidationError, origin: Mapping[str, str]) -> list[str]:
    """One line a problem; the value is left out, as it may be a secret."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        message = problem["msg"].removeprefix("Value error, ")
        place = origin.get(name, "")
        lines.append(": ".join(part for part in (place, name, message) if part))
    return lines
