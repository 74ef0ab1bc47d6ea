"""What a model and its version may be called: by monitors, profiles, commands and the SDK alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stream.core.errors import ConfigError

__all__ = ["check_model", "check_version", "model_problems"]

_LONGEST: Final = 256  # bytes of a model's name, characters of a version, as records are checked
_SHOWN: Final = 60


def model_problems(model: str) -> Iterator[str]:
    """What is wrong with a model's name."""
    if not model:
        yield "model must be named"
        return
    if "@" in model:
        yield "model must not contain @, which stands between a model and its version"
    if not model.isprintable():
        yield "model must not contain control characters"
    if model != model.strip():
        yield "model must not begin or end with a space"
    if len(model.encode(errors="replace")) > _LONGEST:
        yield f"model must be at most {_LONGEST} bytes long"


def check_model(model: str) -> None:
    """ConfigError where no monitor could name the model."""
    for problem in model_problems(model):
        raise ConfigError(f"{problem}: {model[:_SHOWN]!r}")


def check_version(version: str) -> None:
    """ConfigError where a row of the version would be refused."""
    if len(version) > _LONGEST:
        raise ConfigError(f"version must be at most {_LONGEST} characters: {version[:_SHOWN]!r}")
    try:
        version.encode()
    except UnicodeEncodeError as misfit:
        raise ConfigError(f"version must be valid Unicode: {version[:_SHOWN]!r}") from misfit
