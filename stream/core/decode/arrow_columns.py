"""Arrow columns as what batches hold: floats, slots, plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.core.decode.arrow_layout import is_text
from stream.core.decode.plan import Lookup
from stream.core.records import Int64s, Scalar

__all__ = ["filled", "plain", "present", "slots"]

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


def filled(chunks: Sequence[Any], out: _Floats) -> _Mask | None:
    """Writes the column's numbers to `out`, NaN where null; the mask of text among them."""
    kind = chunks[0].type
    if pa.types.is_null(kind):
        out[:] = np.nan
        return None
    if pa.types.is_dictionary(kind):
        if is_text(kind.value_type):
            out[:] = np.nan
            return present(chunks)
        _gather(chunks, out, lambda d: [np.nan if v is None else float(v) for v in d], np.nan)
        return None
    if is_text(kind):
        out[:] = np.nan
        return present(chunks)
    at = 0
    for chunk in chunks:
        end = at + len(chunk)
        if chunk.null_count and not pa.types.is_floating(kind):
            chunk = chunk.cast(pa.float64(), safe=False)
        out[at:end] = chunk.to_numpy(zero_copy_only=False)
        at = end
    return None


def slots(chunks: Sequence[Any], lookup: Lookup, count: int) -> Int64s:
    """The slots of a column's values by a categorical variable's look-up."""
    out = np.empty(count, dtype=np.int64)
    kind = chunks[0].type
    if pa.types.is_null(kind):
        out[:] = lookup[None]
        return out
    if not pa.types.is_dictionary(kind):
        if pa.types.is_float16(kind):
            chunks = [chunk.cast(pa.float64()) for chunk in chunks]
        chunks = [chunk.dictionary_encode() for chunk in chunks]
    _gather(chunks, out, lambda values: [lookup[value] for value in values], lookup[None])
    return out


def present(chunks: Sequence[Any]) -> _Mask:
    """Where a column holds a value that is neither null nor NaN."""
    masks = []
    for chunk in chunks:
        mask = chunk.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_dictionary(chunk.type):
            known = np.array([v is not None and v == v for v in chunk.dictionary.to_pylist()])
            if not known.all():
                mask = np.array([v is not None for v in plain([chunk])], dtype=np.bool_)
        elif pa.types.is_floating(chunk.type):
            mask = mask & ~np.isnan(chunk.to_numpy(zero_copy_only=False))
        masks.append(mask)
    return np.concatenate(masks)


def plain(chunks: Sequence[Any]) -> list[Scalar]:
    """The column's values; null and NaN are None. A dictionary's values aren't copied a row."""
    values: list[Scalar] = []
    for chunk in chunks:
        if pa.types.is_dictionary(chunk.type):
            known = [None if v is None or v != v else v for v in _values(chunk.dictionary)]
            values.extend(None if i is None else known[i] for i in chunk.indices.to_pylist())
        else:
            values.extend(None if v is None or v != v else v for v in _values(chunk))
    return values


def _values(array: Any) -> list[Any]:
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float64())
    values: list[Any] = array.to_pylist()
    return values


def _gather(
    chunks: Sequence[Any],
    out: npt.NDArray[Any],
    translate: Callable[[list[Any]], list[Any]],
    null: float,
) -> None:
    """out[i] = translate(dictionary)[index i]; a dictionary equal to the last isn't done again."""
    at = 0
    last: Any = None
    table: npt.NDArray[Any] = out[:0]
    for chunk in chunks:
        end = at + len(chunk)
        dictionary = chunk.dictionary
        if last is None or not dictionary.equals(last):
            table = np.array([*translate(_values(dictionary)), null], dtype=out.dtype)
            last = dictionary
        indices = chunk.indices
        if indices.null_count:
            indices = indices.fill_null(0)
            found = table.take(indices.to_numpy(zero_copy_only=False))
            found[chunk.indices.is_null().to_numpy(zero_copy_only=False)] = null
            out[at:end] = found
        else:
            out[at:end] = table.take(indices.to_numpy(zero_copy_only=False))
        at = end
