"""Labels that come late: each some seconds after its prediction, in the order they are due."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from stream.client import LabelLogger
from stream.core.records import Scalar

__all__ = ["LateLabels"]


class LateLabels:
    """Holds labels back for between `soonest` and `latest` seconds, by a seeded draw each."""

    def __init__(self, logger: LabelLogger, soonest: float, latest: float, seed: int = 11) -> None:
        self._logger = logger
        self._between = soonest, latest
        self._random = np.random.default_rng(seed)
        self._waiting: list[tuple[float, str, Scalar]] = []
        self.sent = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def hold(self, ids: Sequence[str], labels: Sequence[Scalar], seconds: float) -> None:
        """Takes the labels of predictions made at `seconds`; rows without a label are left out."""
        delays = self._random.uniform(*self._between, len(ids))
        for prediction_id, label, delay in zip(ids, labels, delays.tolist(), strict=True):
            if label is not None and label == label:
                heapq.heappush(self._waiting, (seconds + delay, prediction_id, label))

    def send_due(self, seconds: float) -> None:
        """Sends those that are due; their event time is now."""
        due = []
        while self._waiting and self._waiting[0][0] <= seconds:
            due.append(heapq.heappop(self._waiting))
        if due:
            self._logger.log_columns([one[1] for one in due], [one[2] for one in due])
            self.sent += len(due)
