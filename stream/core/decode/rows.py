"""Rows under way: their columns, what is taken out of them, and those that no plan reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.core.decode.fields import RefusedError
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.plans import model_key
from stream.core.decode.raw import PlainRow, raw_batches
from stream.core.decode.text import plain_features
from stream.core.errors import Reason, Rejected
from stream.core.records import CARRIES_FEATURES, Int64s, RawBatch

__all__ = ["LACKS_FEATURES", "Rows", "plain_batches", "without"]

LACKS_FEATURES: Final = (Reason.MISSING_FIELD, "features: is missing")


@dataclass(slots=True)
class Rows:
    """The columns of rows under way; `keep` drops rows from all of them."""

    record: npt.NDArray[np.int32]
    carries: npt.NDArray[np.uint8]
    event_time_ms: Int64s
    entry: npt.NDArray[np.int32]
    models: Sequence[str]
    versions: Sequence[str | None]
    features: Sequence[Any]
    predictions: Sequence[Any]
    scores: Sequence[Any]

    def keep(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """The rows of the mask."""
        flags = mask.tolist()
        return Rows(
            self.record[mask],
            self.carries[mask],
            self.event_time_ms[mask],
            self.entry[mask],
            *(
                list(compress(column, flags))
                for column in (
                    self.models, self.versions, self.features, self.predictions, self.scores
                )
            ),
        )  # fmt: skip


def without(rows: Rows, bad: dict[int, tuple[Reason, str]], rejected: list[Rejected]) -> Rows:
    """The rows but the bad ones, by place, which are rejected."""
    if not bad:
        return rows
    rejected.extend(
        Rejected(int(rows.record[i]), reason, detail) for i, (reason, detail) in sorted(bad.items())
    )
    mask = np.ones(len(rows.record), dtype=np.bool_)
    mask[list(bad)] = False
    return rows.keep(mask)


def plain_batches(rows: Rows, limits: DecodeLimits, rejected: list[Rejected]) -> list[RawBatch]:
    """Rows without a plan, checked as the slow road checks them, as raw batches."""
    good: list[PlainRow] = []
    bad: dict[int, tuple[Reason, str]] = {}
    for i, features in enumerate(rows.features):
        carries = int(rows.carries[i])
        try:
            plain = plain_features(features, limits.max_features)
        except RefusedError as error:
            bad[i] = error.refusal
            continue
        if plain is None and not carries:
            bad[i] = LACKS_FEATURES
            continue
        good.append(
            PlainRow(
                model=model_key(rows.models[i], rows.versions[i]),
                record=int(rows.record[i]),
                event_time_ms=int(rows.event_time_ms[i]),
                carries=carries | (CARRIES_FEATURES if plain is not None else 0),
                features=plain or {},
                prediction=rows.predictions[i] if carries else None,
                score=rows.scores[i] if carries else None,
            )
        )
    without(rows, bad, rejected)
    return raw_batches(good)
