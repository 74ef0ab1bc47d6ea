"""What a profile says that is most likely not meant, told where one is built."""

from __future__ import annotations

from collections.abc import Iterator

from stream.core.labels import LabelKind
from stream.core.specs import Profile

__all__ = ["profile_warnings"]

_SUSPICIOUS_AREA = 0.45  # a model that is no better than chance may be a little below a half


def profile_warnings(profile: Profile) -> Iterator[str]:
    """Sentences on a profile's labels: a score that is higher for the negative class is its own."""
    outcome = profile.outcome
    if outcome is None or outcome.kind != LabelKind.BINARY:
        return
    area = dict(outcome.metrics).get("roc_auc", 1.0)
    if area < _SUSPICIOUS_AREA:
        negative, positive = outcome.classes
        yield (
            f"scores are higher for {negative!r} than for the positive class {positive!r} "
            f"(ROC-AUC {area:.4g}); if they are of {negative!r}, say --positive {negative}"
        )
