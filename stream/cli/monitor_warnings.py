"""What a monitor says that won't be as it looks, told when it is applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

from stream.cli.vocabulary import VOCABULARY
from stream.core.labels import label_spec, reads_as_reference
from stream.core.pane.grouping import left_out
from stream.core.specs import MonitorSpec, Profile, Severity

__all__ = ["warnings"]

_LOUDNESS = list(Severity)


def warnings(spec: MonitorSpec, profiles: Sequence[Profile]) -> Iterator[str]:
    """Sentences on what of a monitor applies to nothing, by its model's published profiles.

    Rules of single features, segments and metrics are looked for in each of the profiles; where
    there is none yet, only what needs no profile is told.
    """
    yield from _shares(spec)
    each: Sequence[Profile | None] = profiles or [None]
    told = dict.fromkeys(line for profile in each for line in left_out(spec, profile))
    yield from (f"segment_by {line}" for line in told)
    for profile in profiles:
        yield from _features(spec, profile)
        if not reads_as_reference(profile, spec.labels):
            yield (
                f"labels: the profile of {profile.model} reads labels otherwise, so windows have "
                "no estimates and nothing for max_drop and max_rise to compare with"
            )
        yield from _metrics(spec, profile)


def _shares(spec: MonitorSpec) -> Iterator[str]:
    """Severities that another one hides: the loudest whose share is passed is what counts."""
    shares = sorted(spec.severity_by_share, key=lambda each: _LOUDNESS.index(each[0]))
    for place, (severity, share) in enumerate(shares[:-1], 1):
        louder, least = min(shares[place:], key=itemgetter(1))
        if least <= share:
            yield (
                f"severity_by_share: {louder} begins above {least:g}, so that nothing is ever "
                f"{severity}, which begins above {share:g}"
            )


def _features(spec: MonitorSpec, profile: Profile) -> Iterator[str]:
    known = {name for v in profile.variables for name in (v.name, v.label)}
    for name in sorted(set(spec.features) - known):
        yield f"features.{name}: the profile of {profile.model} has no such feature"


def _metrics(spec: MonitorSpec, profile: Profile) -> Iterator[str]:
    """Metrics of another kind of labels than windows of this profile will have."""
    labels = label_spec(profile, spec.labels)
    if labels is None:
        if spec.labels.wanted and profile.outcome is not None:
            positive, known = spec.labels.positive, spec.labels.classes or profile.outcome.classes
            cause = f": {positive!r} is none of {' and '.join(known)}" if positive else ""
            yield (
                f"labels: they can't be read by the profile of {profile.model}, so that there are "
                f"no performance windows of it{cause}"
            )
        return
    for metric in sorted(spec.performance):
        kinds = VOCABULARY.performance.get(metric, ())
        if kinds and labels.kind not in kinds:
            yield (
                f"performance.{metric}: is for {' and '.join(sorted(kinds))}, and labels of "
                f"{profile.model} are {labels.kind}"
            )
