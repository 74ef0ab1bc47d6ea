"""What it takes to publish a profile: the roles that a file names, and from when it applies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from stream.adapters.documents import Document, checked, read_yaml
from stream.adapters.monitors import in_force, next_boundary_ms
from stream.adapters.tables import RoleOptions
from stream.core.catalog import Profiles
from stream.core.errors import ConfigError, ProfileError
from stream.core.specs import MonitorSpec, Profile, TimeSpec

__all__ = ["Moment", "RolesDocument", "effective_from_ms", "publication", "read_roles"]


class RolesDocument(Document):
    """A file of column roles for `profile build`: what the options say, and more."""

    prediction: str | None = Field(None, description="the prediction's column")
    score: str | None = Field(None, description="the score's column")
    scores: dict[str, str] = Field(default_factory=dict, description="a class's score: its column")
    id: str | None = Field(None, description="the prediction id's column")
    time: str | None = Field(None, description="the event time's column")
    label: str | None = Field(None, description="the label's column")
    kind: Literal["", "binary", "multiclass", "regression"] = Field(
        "", description="what the labels are, else guessed"
    )
    positive: str | int = Field("", description="the positive class, else the greater of two")
    segment_by: list[str] = Field(default_factory=list, description="columns to segment by")
    features: list[str] = Field(default_factory=list, description="the only features")
    ignore: list[str] = Field(default_factory=list, description="columns of no role")
    kinds: dict[str, Literal["numeric", "categorical"]] = Field(
        default_factory=dict, description="a feature's kind, where the guess is wrong"
    )
    bins: int = Field(64, ge=2, le=1000, description="bins of a numeric variable, at most")
    categories: int = Field(50, ge=1, le=10_000, description="categories with a slot, at most")
    provenance: dict[str, str] = Field(default_factory=dict, description="kept with the profile")

    def given(self, options: Mapping[str, str | list[str] | dict[str, str] | None]) -> Self:
        """The document with options over it: they replace values, and add to lists and mappings.

        What is None or empty changes nothing.
        """
        update: dict[str, object] = {}
        for name, option in options.items():
            if not option:
                continue
            if isinstance(option, list):
                update[name] = [*getattr(self, name), *option]
            elif isinstance(option, dict):
                update[name] = {**getattr(self, name), **option}
            else:
                update[name] = option
        return self.model_copy(update=update)

    def options(self) -> RoleOptions:
        """The roles among them."""
        return RoleOptions(
            prediction=self.prediction,
            score=self.score,
            scores=self.scores,
            id=self.id,
            time=self.time,
            label=self.label,
            features=self.features,
            ignore=self.ignore,
        )


def read_roles(path: Path | None) -> RolesDocument:
    """The roles of a YAML file of one document, the defaults without a file. ConfigError."""
    if path is None:
        return RolesDocument.model_validate({})
    documents = read_yaml(path)
    if len(documents) > 1:
        raise ConfigError(f"{path}: holds {len(documents)} documents; roles are one")
    return checked(RolesDocument, documents[0] if documents else {}, str(path))


@dataclass(frozen=True, slots=True)
class Moment:
    """What decides from when a model's change applies.

    `changes` are the model's monitors, `has_windows` says if any window of it was ever emitted.
    """

    now_ms: int
    time: TimeSpec
    changes: Sequence[MonitorSpec]
    has_windows: bool


def effective_from_ms(moment: Moment, asked_ms: int | None = None) -> int:
    """From when a change applies: 0 without windows, else the next safe window boundary.

    A later time may be asked for, if it is a window boundary. Raises ConfigError, naming the
    earliest, for one that is too early, and the next, for one that is no boundary.
    """
    earliest = 0
    if moment.has_windows:
        earliest = next_boundary_ms(moment.changes, moment.now_ms, moment.time)
    if asked_ms is None:
        return earliest
    if asked_ms < earliest:
        raise ConfigError(
            f"{asked_ms} is too early: workers may have stepped over rows that late; the earliest "
            f"window boundary that can be promised is {earliest}"
        )
    hop = in_force(moment.changes, asked_ms, moment.time.pane_ms).hop_ms
    if asked_ms % hop:
        raise ConfigError(
            f"{asked_ms} is no window boundary; the next one is {(asked_ms // hop + 1) * hop}"
        )
    return asked_ms


def publication(
    profile: Profile, known: Iterable[Profile], moment: Moment, asked_ms: int | None = None
) -> Profile | None:
    """The profile as it is to be published, None where it has been already.

    `known` are the topic's profiles in the order of their offsets. Raises ProfileError where
    another was published for the model@version: profiles are immutable.
    """
    heard = Profiles()
    for each in known:
        heard.hear(each)
        if each.model == profile.model and each.hash == profile.hash and not each.warmed_up:
            return None
    wanted = replace(
        profile, warmed_up=False, effective_from_ms=effective_from_ms(moment, asked_ms)
    )
    refusal = heard.hear(wanted)
    if refusal is not None:
        raise ProfileError(refusal)
    return wanted
