"""Every score and metric that a monitor file may name."""

from __future__ import annotations

from stream.adapters.vocabulary import Vocabulary
from stream.core.score import SCORES
from stream.core.score.estimate import ESTIMATED
from stream.core.score.fairness import FAIRNESS_METRICS
from stream.core.score.performance import CLASS_METRICS, METRICS
from stream.core.score.serving import SERVING_METRICS

__all__ = ["VOCABULARY"]

VOCABULARY = Vocabulary(
    scores=tuple(SCORES),
    performance={name: tuple(metric.kinds) for name, metric in METRICS.items()},
    of_classes=tuple(CLASS_METRICS),
    estimated=ESTIMATED,
    serving=SERVING_METRICS,
    fairness=FAIRNESS_METRICS,
)
