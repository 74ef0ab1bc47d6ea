"""The vectors of a ledger, filled with many rows' counts and sums at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.fixed import Form, digits
from stream.core.ledger import Ledger, Part
from stream.core.records import Int64s

__all__ = ["Sheet"]

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_CHUNK = 4_096  # rows whose digits are made at once, so that they stay in the cache


class Sheet:
    """A ledger's vectors for G groups, filled a part at a time; three more places at the end.

    `group` (n,) tells each row's group, `out` (n,) the rows that are taken away again. To `cells`
    (G, width + 3) int64 the sums are added. Methods take n rows, or those that `rows` are the
    indices of.
    """

    def __init__(self, ledger: Ledger, cells: Int64s, group: Int64s, out: _Mask) -> None:
        self._ledger = ledger
        self._group = group
        self._sign = np.where(out, -1.0, 1.0) if bool(out.any()) else None
        self.cells = cells

    def count(self, part: Part, place: Int64s, rows: Int64s | None = None) -> None:
        """Counts each row (of `rows`) at its place, an index into the part laid flat."""
        view = self._ledger.part(self.cells, part)
        size = int(np.prod(view.shape[1:]))
        view += self._tally(place, size, None, rows).reshape(view.shape)

    def add(self, part: Part, x: _Floats, form: Form, rows: Int64s | None = None) -> None:
        """Adds the sums (S, n) of the rows' values to a part of shape (S, D)."""
        for start in range(0, x.shape[1], _CHUNK):
            stop = min(start + _CHUNK, x.shape[1])
            pick = np.arange(start, stop) if rows is None else rows[start:stop]
            parts = np.moveaxis(digits(x[:, start:stop], form), -1, 0)
            self._add(part, list(np.ascontiguousarray(parts)), pick)

    def _add(self, part: Part, found: Sequence[Int64s | _Floats], rows: Int64s | None) -> None:
        """Adds D digits, each (S, n), of the rows' values to a part of shape (S, D)."""
        view = self._ledger.part(self.cells, part)
        for digit, values in enumerate(found):
            if len(self.cells) == 1 and self._sign is None:
                view[0, :, digit] += values.sum(axis=1).astype(np.int64, copy=False)
                continue
            for sum_, each in enumerate(values):
                if bool(each.any()):
                    view[:, sum_, digit] += self._tally(None, 1, each, rows)[:, 0]

    def _tally(
        self,
        place: Int64s | None,
        size: int,
        weight: Int64s | _Floats | None,
        rows: Int64s | None,
    ) -> Int64s:
        """Sums (groups, size) of rows' weights (1) by place; exact, as they stay below 2^53."""
        if len(self.cells) == 1 and place is not None:
            flat = place
        else:
            group = self._group if rows is None else self._group[rows]
            flat = group if place is None else group * size + place
        weights: _Floats | Int64s | None = weight
        if self._sign is not None:
            sign = self._sign if rows is None else self._sign[rows]
            weights = sign if weight is None else weight * sign
        groups = len(self.cells)
        counts = np.bincount(flat, weights=weights, minlength=groups * size)
        return counts.astype(np.int64, copy=False).reshape(groups, size)
