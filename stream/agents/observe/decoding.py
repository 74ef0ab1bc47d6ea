"""Slices decoded once, and whether they hold rows of models that are new to this worker."""

from __future__ import annotations

import numpy as np

from stream.core.catalog import Profiles
from stream.core.decode import Decoder
from stream.core.records import Decoded, ModelKey, Slice

__all__ = ["Decoding"]

_REMEMBERED = 100_000  # models; of more, all are new once more


class Decoding:
    """A decoder that looks ahead: what is in force for a new model may be news as well.

    A monitor and a profile that were published before a model's first row apply to it, however
    lately the broadcast topics were read.
    """

    def __init__(self, decoder: Decoder, profiles: Profiles) -> None:
        self._decoder = decoder
        self._profiles = profiles
        self._seen = np.zeros(0, dtype=np.bool_)  # by the profiles' entries
        self._models: set[ModelKey] = set()
        self._ahead: tuple[Slice, Decoded] | None = None

    def holds_new(self, slice_: Slice) -> bool:
        """Whether rows of the slice are of models that no slice before had. May raise as decode."""
        self._ahead = None
        decoded = self._decoder.decode(slice_)
        self._ahead = (slice_, decoded)
        return self._note(decoded)

    def ask_again(self) -> None:
        """What a slice is decoded to may have changed."""
        self._decoder.ask_again()
        self._ahead = None

    def decode(self, slice_: Slice) -> Decoded:
        """See `Decoder.decode`."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is slice_:
            return ahead[1]
        decoded = self._decoder.decode(slice_)
        self._note(decoded)
        return decoded

    def _note(self, decoded: Decoded) -> bool:
        """Remembers profiles, and of rows without one models; whether any is new."""
        if len(self._seen) < len(self._profiles.entries):
            self._seen.resize(2 * len(self._profiles.entries), refcheck=False)
        fresh = False
        for batch in decoded.batches:
            if not self._seen.take(batch.entry).all():
                self._seen[batch.entry] = fresh = True
        raw = {batch.model for batch in decoded.raw} - self._models
        if len(self._models) > _REMEMBERED:
            self._models.clear()
        self._models |= raw
        return fresh or bool(raw)
