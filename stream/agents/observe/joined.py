"""Predictions with their labels as records of `joined`, for pipelines that train on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from stream.core.labels import Form, LabelKind
from stream.core.outcomes import Change, Cohort, Outcomes
from stream.core.records import Output, Scalar

__all__ = ["Texts", "joined_outputs"]

_JSON = (("content-type", b"application/json"),)
_MOST_TEXTS = 100_000
_LARGE = 1 << 63  # JSON's integers are written up to here, larger ones as floats
_STATES = {Change.FIRST: "first", Change.OUT: "retracted", Change.IN: "corrected"}


class Texts:
    """What the text labels of this worker's life were, by their bits; bounded, then begun anew."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def learn(self, texts: dict[int, str]) -> None:
        """Takes in a slice's texts."""
        if len(self._texts) + len(texts) > _MOST_TEXTS:
            self._texts.clear()
        self._texts.update(texts)

    def value(self, cohort: Cohort, form: int, bits: int) -> Scalar:
        """The label: a number, a class's own name, or a text as it was sent.

        A text that is no class of the model, and came before this worker started, is known by
        its hash alone: `xxh3:` and 16 hex digits.
        """
        if form == Form.NUMBER:
            number = float(np.uint64(bits).view(np.float64))
            whole = cohort.spec.kind is not LabelKind.REGRESSION and number.is_integer()
            return int(number) if whole and abs(number) < _LARGE else number
        same = np.flatnonzero((cohort.spec.bits == (form, bits)).all(axis=1)).tolist()
        if same:
            return cohort.spec.classes[same[0]]
        return self._texts.get(bits, f"xxh3:{bits:016x}")


def joined_outputs(outcomes: Outcomes, cohorts: Sequence[Cohort], texts: Texts) -> Iterator[Output]:
    """A record of each outcome whose cohort asks for it; a later one of an id replaces it.

    A corrected outcome is put out again with the new label, a retracted one with label null; a
    label that can't be of its model's kind isn't.
    """
    if outcomes.extras is None:
        return
    for place, extra in enumerate(outcomes.extras):
        cohort = cohorts[int(outcomes.cohort[place])]
        if not cohort.joined or extra is None or _is_replaced(outcomes, place):
            continue
        if outcomes.change[place] == Change.REFUSED:
            continue
        if cohort.spec.kind is LabelKind.MULTICLASS:
            extra = extra[8 * len(cohort.spec.classes) :]
        if not extra:
            continue
        record = orjson.loads(extra)
        record["model"], record["version"] = cohort.model
        form, bits = int(outcomes.form[place]), int(outcomes.bits[place])
        retracted = outcomes.change[place] == Change.OUT
        record["label"] = None if retracted else texts.value(cohort, form, bits)
        record["state"] = _STATES[Change(outcomes.change[place])]
        record["joined_ms"] = int(outcomes.time_ms[place])
        record["delay_ms"] = int(outcomes.delay_ms[place])
        key = record["prediction_id"].encode()
        yield Output("joined", key, orjson.dumps(record), _JSON, int(outcomes.task[place]))


def _is_replaced(outcomes: Outcomes, place: int) -> bool:
    """Whether an outcome is taken out only to make room for the next one."""
    following = place + 1
    return bool(
        outcomes.change[place] == Change.OUT
        and following < len(outcomes)
        and outcomes.change[following] == Change.IN
        and outcomes.cohort[following] == outcomes.cohort[place]
        and outcomes.offset[following] == outcomes.offset[place]
        and (outcomes.ids[following] == outcomes.ids[place]).all()
    )
