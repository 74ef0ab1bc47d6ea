"""Arrow streams that differ in values alone: put one behind the other, and opened once.

A producer at full speed sends batch after batch with the same number of rows, the same
dictionaries and no nulls. Such streams are equal byte by byte but for the body of their one
batch, and there every column stands at the same place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stream.core.decode.arrow_frame import Frame
from stream.core.decode.arrow_layout import Layout

__all__ = ["Alike", "Mold"]

_MAX_MOLDS: Final = 8  # each is compared with every stream
_MAX_SEEN: Final = 256
_MAX_REST: Final = 1 << 16  # bytes of a stream besides the body


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a column's values start in the stream, and how many bytes a row has."""

    kind: Any
    start: int
    width: int
    dictionary: Any


@dataclass(frozen=True, slots=True, eq=False)
class Mold:
    """What equal streams have in common: all that comes before the body and after it."""

    layout: Layout
    names: list[str]
    head: bytes
    tail: bytes
    size: int
    rows: int
    columns: tuple[_Column, ...]

    def fits(self, value: bytes) -> bool:
        """Whether a stream is one of those."""
        return len(value) == self.size and value.startswith(self.head) and value.endswith(self.tail)

    def stacked(self, values: Sequence[bytes]) -> Any:
        """One record batch of the rows of all these streams. Raises what pyarrow does."""
        views = [memoryview(value) for value in values]
        count = len(values) * self.rows
        arrays = []
        for column in self.columns:
            stop = column.start + column.width * self.rows
            # A bytearray, as what may be written to is not copied where it must be.
            raw = pa.py_buffer(bytearray().join([view[column.start : stop] for view in views]))
            array = pa.Array.from_buffers(column.kind, count, [None, raw])
            if column.dictionary is not None:
                array = pa.DictionaryArray.from_arrays(array, column.dictionary, safe=False)
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, names=self.names)


class Alike:
    """Knows streams again; what it knows (at most 8 molds) changes speed, never a result."""

    def __init__(self) -> None:
        self._molds: list[Mold] = []
        self._seen: OrderedDict[bytes, bool] = OrderedDict()

    def mold(self, value: bytes) -> Mold | None:
        """The mold that a stream fits, if one is known."""
        return next((mold for mold in self._molds if mold.fits(value)), None)

    def note(self, value: bytes, frame: Frame, batch: Any, layout: Layout) -> None:
        """Makes a mold of a good stream of one batch once another was seen that it is like."""
        rest = len(value) - (frame.body_end - frame.body_start)
        if not frame.body_start or rest > _MAX_REST:
            return
        head = value[: frame.body_start]
        first = head not in self._seen
        self._seen[head] = True
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        columns = None if first else _columns(value, frame, batch)
        if columns is not None:
            tail = value[frame.body_end :]
            mold = Mold(
                layout, batch.schema.names, head, tail, len(value), batch.num_rows, tuple(columns)
            )
            self._molds = [mold, *self._molds[: _MAX_MOLDS - 1]]


def _columns(value: bytes, frame: Frame, batch: Any) -> list[_Column] | None:
    """The columns' places in the stream; None where one has nulls, or values of no fixed width."""
    base = pa.py_buffer(value).address
    found = []
    for array in batch.columns:
        known = pa.types.is_dictionary(array.type)
        plain = array.indices if known else array
        kind = plain.type
        fixed = pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind)
        if not fixed or kind.bit_width % 8 or plain.offset or plain.null_count:
            return None
        raw = plain.buffers()[1]
        start, width = raw.address - base, kind.bit_width // 8
        if start < frame.body_start or start + width * len(plain) > frame.body_end:
            return None
        found.append(_Column(kind, start, width, array.dictionary if known else None))
    return found
