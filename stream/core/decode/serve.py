"""What rows carry for the join, for segments and for serving metrics, where a model wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from operator import eq
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from stream.core.decode.plans import TAG_PREFIX, Plans
from stream.core.decode.stack import numbers_of
from stream.core.decode.text import parse
from stream.core.decode.values import Values, nan_as_null
from stream.core.ids import ids_of
from stream.core.labels import Form
from stream.core.records import RawBatch, Scalar, Served, Wants
from stream.core.specs import FEATURE_PREFIX

__all__ = ["Fields", "Serving", "as_sent", "body", "with_served"]

_EXACT: Final = 1 << 53

_Probabilities = Mapping[str, float | None] | None
_Score = float | Mapping[str, float | None] | None
_Places = npt.NDArray[np.intp] | None
_T = TypeVar("_T")
_D = TypeVar("_D", bound=np.generic)


class Fields(NamedTuple):
    """Envelopes as columns, in the order of `Envelope`'s fields."""

    ids: Sequence[str]
    models: Sequence[str]
    times: Sequence[float]
    versions: Sequence[str | None]
    features: Sequence[Any]
    predictions: Sequence[Scalar]
    scores: Sequence[_Score]
    attributions: Sequence[Mapping[str, float | None] | None]
    latencies: Sequence[float | None]
    statuses: Sequence[str | None]
    tags: Sequence[Mapping[str, Scalar] | None]


@dataclass(frozen=True)
class Serving:
    """The rows of one format in a slice, of which some models may want more than variables.

    `record` (n,) ascends without repeating. `texts` are the slice's values where rows are JSON;
    where they are not, features are dicts.
    """

    record: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.bool_]
    fields: Fields
    texts: Sequence[bytes | None] | None
    plans: Plans
    values: Values

    def served(
        self,
        record: npt.NDArray[np.int32],
        models: Sequence[str],
        feature: Callable[[str], Sequence[Scalar]],
    ) -> Served | None:
        """What these rows carry; None where no model of theirs wants anything.

        `feature` gives the values of a feature, one a row.
        """
        wants = {model: self.plans.wants(model) for model in dict.fromkeys(models)}
        asked = [want for want in wants.values() if want is not None]
        if not asked:
            return None
        places = None
        if len(record) < len(self.record):
            places = np.searchsorted(self.record, record)
        names = dict.fromkeys(name for want in asked for name in want.plain)
        whole = self._whole
        return Served(
            ids=_taken(whole.ids, places),
            form=_taken(whole.form, places),
            bits=_taken(whole.bits, places),
            score=_taken(whole.score, places),
            probabilities=_known(_picked(whole.probabilities, places)),
            latency_ms=None if whole.latency_ms is None else _taken(whole.latency_ms, places),
            error=None if whole.error is None else _taken(whole.error, places),
            plain={
                name: self._tag(name, places)
                if name.startswith(TAG_PREFIX)
                else as_sent(feature(name))
                for name in names
            },
            bodies=self._bodies(wants, models, places) if any(w.bodies for w in asked) else None,
        )

    @cached_property
    def _whole(self) -> Served:
        """All rows' columns; rows of the topic `features` have nothing but an id."""
        fields, predicted = self.fields, self.predicted
        form, bits = nan_as_null(self.values.bits_of(fields.predictions))
        score, probabilities = _scores(fields.scores)
        latency = error = None
        if fields.latencies.count(None) < len(predicted):
            latency = numbers_of(fields.latencies)[0].copy()
        if fields.statuses.count(None) < len(predicted):
            error = np.fromiter(map(eq, fields.statuses, repeat("error")), np.bool_)
        if not predicted.all():
            others = ~predicted
            form[others], bits[others], score[others] = Form.NULL, 0, np.nan
            if latency is not None:
                latency[others] = np.nan
            if error is not None:
                error[others] = False
            if probabilities is not None:
                pairs = zip(probabilities, predicted.tolist(), strict=True)
                probabilities = [each if has else None for each, has in pairs]
        return Served(ids_of(fields.ids), form, bits, score, probabilities, latency, error)

    def _tag(self, name: str, places: _Places) -> Sequence[Scalar]:
        key = name.removeprefix(TAG_PREFIX)
        every = range(len(self.record)) if places is None else places.tolist()
        tags, predicted = self.fields.tags, self.predicted.tolist()
        return as_sent([(tags[i] or {}).get(key) if predicted[i] else None for i in every])

    def _bodies(
        self, wants: Mapping[str, Wants | None], models: Sequence[str], places: _Places
    ) -> list[bytes | None]:
        wanted = {model for model, want in wants.items() if want is not None and want.bodies}
        every = range(len(self.record)) if places is None else places.tolist()
        predicted = self.predicted.tolist()
        return [
            self._body(i) if model in wanted and predicted[i] else None
            for i, model in zip(every, models, strict=True)
        ]

    def _body(self, place: int) -> bytes:
        fields = self.fields
        own = fields.ids[place], int(fields.times[place])
        if self.texts is None:
            return body(
                *own,
                fields.features[place],
                fields.predictions[place],
                fields.scores[place],
                fields.tags[place],
            )
        row = parse(self.texts[self.record[place]] or b"")
        rest = (row.get(name) for name in ("features", "prediction", "score", "tags"))
        return body(*own, *rest)


def with_served(rows: RawBatch, serving: Serving) -> RawBatch:
    """The same rows with what their model wants them to carry."""
    count = len(rows)
    served = serving.served(
        rows.record,
        [rows.model.model] * count,
        lambda name: rows.columns.get(FEATURE_PREFIX + name, [None] * count),
    )
    return rows if served is None else replace(rows, served=served)


def body(
    prediction_id: str, event_time_ms: int,
    features: object, prediction: object, score: object, tags: object,
) -> bytes:  # fmt: skip
    """A row's body as compact JSON, as `Served` says; NaN and infinities are null."""
    return orjson.dumps(
        {
            "prediction_id": prediction_id,
            "event_time_ms": event_time_ms,
            "features": features,
            "prediction": prediction,
            "score": score,
            "tags": tags,
        }
    )


def as_sent(values: Sequence[Scalar]) -> Sequence[Scalar]:
    """A feature's values whichever road read them: NaN is null, integers beyond 2^53 are floats.

    A profile's numeric features are read as floats, and others as they come; so a value must
    not tell which it was.
    """
    kinds = set(map(type, values))
    if float in kinds:
        values = [None if value != value else value for value in values]
    if int in kinds:
        values = [
            float(value) if type(value) is int and not -_EXACT <= value <= _EXACT else value
            for value in values
        ]
    return values


def _scores(
    scores: Sequence[_Score],
) -> tuple[npt.NDArray[np.float64], Sequence[_Probabilities] | None]:
    """Scores that are one number, NaN for others, and those that are a number a class."""
    if dict not in set(map(type, scores)):
        return numbers_of(scores)[0].copy(), None
    classes = [score if isinstance(score, Mapping) else None for score in scores]
    plain = [None if isinstance(score, Mapping) else score for score in scores]
    return numbers_of(plain)[0].copy(), classes


def _known(probabilities: Sequence[_Probabilities] | None) -> Sequence[_Probabilities] | None:
    return probabilities if probabilities and any(probabilities) else None


def _taken(column: npt.NDArray[_D], places: _Places) -> npt.NDArray[_D]:
    return column if places is None else column[places]


def _picked(column: Sequence[_T] | None, places: _Places) -> Sequence[_T] | None:
    if column is None or places is None:
        return column
    return [column[i] for i in places.tolist()]
