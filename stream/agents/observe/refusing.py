"""What observe refuses: its dead letters, its count, and the share of it that pauses a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.agents.observe.dead_letters import DeadLetters
from stream.agents.observe.invalid import InvalidShare
from stream.agents.observe.joining import WrongLabel
from stream.agents.observe.observer import ObserveObserver
from stream.core.errors import Reason
from stream.core.records import Decoded, Output, Slice

__all__ = ["Refusing"]


class Refusing:
    """Writes dead letters, counts the rows in them, and tells `invalid` each source's share."""

    def __init__(
        self, letters: DeadLetters, invalid: InvalidShare, observer: ObserveObserver
    ) -> None:
        self._letters = letters
        self._invalid = invalid
        self._observer = observer

    def records(self, slice_: Slice, decoded: Decoded, now_ms: int) -> list[Output]:
        """The dead letters of records, or of rows of them, that could not be decoded."""
        refused = np.zeros(len(slice_), dtype=np.bool_)
        for rejected in decoded.rejected:
            refused[rejected.record] = True
            self._observer.rejected(rejected.reason.value, max(1, len(rejected.rows)))
        sources = len(slice_.sources)
        records = np.bincount(slice_.source, minlength=sources).tolist()
        bad = np.bincount(slice_.source[refused], minlength=sources).tolist()
        for source, count, wrong in zip(slice_.sources, records, bad, strict=True):
            self._invalid.saw(source, count, wrong, now_ms)
        return [self._letters.letter(slice_, item, now_ms) for item in decoded.rejected]

    def labels(self, slice_: Slice, wrong: Sequence[WrongLabel], now_ms: int) -> list[Output]:
        """The dead letters of labels that cannot be of their model's kind.

        A record of many labels has one for each reason, however many of its labels have that.
        """
        if wrong:
            self._observer.rejected(Reason.WRONG_LABEL.value, len(wrong))
        return self._letters.wrong_labels(slice_, tuple(dict.fromkeys(wrong)), now_ms)
