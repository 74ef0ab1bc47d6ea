"""Arrow columns as what batches hold: floats, slots, plain values."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.core.decode.arrow_layout import is_text
from stream.core.decode.plan import Lookup
from stream.core.decode.values import Bits, Values, bits_of_numbers, texts_of
from stream.core.ids import ids_of, ids_of_text, ids_of_uuids
from stream.core.records import Int64s, Scalar

__all__ = [
    "bits_in",
    "filled",
    "ids_in",
    "names_in",
    "plain",
    "present",
    "slots",
    "texts_of_ids",
]

_EXACT: Final = float(1 << 53)
_FEW: Final = 1_024  # a table of so many slots costs less than finding the distinct values

_Floats = npt.NDArray[np.float64] | npt.NDArray[np.float32]
_Mask = npt.NDArray[np.bool_]


def filled(column: Any, out: _Floats) -> _Mask | None:
    """Writes the column's numbers to `out`, NaN where null; the mask of text among them."""
    kind = column.type
    if pa.types.is_null(kind):
        out[:] = np.nan
    elif is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type)):
        out[:] = np.nan
        return present(column)
    elif pa.types.is_dictionary(kind):
        _gather(column, out, lambda d: [np.nan if v is None else float(v) for v in d], np.nan)
    elif column.null_count and not pa.types.is_floating(kind):
        out[:] = column.cast(pa.float64(), safe=False).to_numpy()
    else:
        with np.errstate(invalid="ignore"):  # a float32 NaN may be a signalling one
            out[:] = column.to_numpy()
    return None


def slots(column: Any, lookup: Lookup, out: Int64s) -> None:
    """Writes the slots of a column's values by a categorical variable's look-up to `out`."""
    kind = column.type
    if pa.types.is_null(kind):
        out[:] = lookup[None]
        return
    if pa.types.is_integer(kind) and not column.null_count and len(out):
        values = column.to_numpy()
        low, high = int(values.min()), int(values.max())
        if high - low < _FEW and high < 1 << 63:
            table = np.array([lookup[value] for value in range(low, high + 1)], dtype=np.int64)
            table.take(values.astype(np.int64) - low, out=out, mode="clip")  # none is clipped
            return
    if not pa.types.is_dictionary(kind):
        if pa.types.is_float16(kind):
            column = column.cast(pa.float64())
        column = column.dictionary_encode()
    _gather(column, out, lambda values: [lookup[value] for value in values], lookup[None])


def ids_in(column: Any) -> npt.NDArray[np.uint64]:
    """The key of each id (`ids.ids_of`), (n, 2) uint64; there are rows, none is null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return ids_of([str(text) for text in plain(column)])
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    first, buffers = whole.offset, whole.buffers()
    if pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        return ids_of_uuids(memoryview(buffers[1])[first * width : (first + len(whole)) * width])
    wide = np.int64 if pa.types.is_large_string(kind) else np.int32
    ends = np.frombuffer(buffers[1], dtype=wide)[first : first + len(whole) + 1]
    return ids_of_text(memoryview(buffers[2]), ends.astype(np.int64))


def texts_of_ids(column: Any) -> list[str]:
    """The ids as texts; a UUID's 16 bytes as its usual 36 characters."""
    if pa.types.is_fixed_size_binary(column.type):
        return [str(uuid.UUID(bytes=raw)) for raw in column.to_pylist()]
    return [str(text) for text in plain(column)]


def bits_in(column: Any, values: Values) -> tuple[Bits, dict[int, str]]:
    """Form and bits of each value (NaN stays a NUMBER), and what the texts are."""
    kind = column.type
    if pa.types.is_null(kind):
        known: list[Any] = [None] * len(column)
        return values.bits_of(known), {}
    if is_text(kind):
        column = column.dictionary_encode()
        kind = column.type
    if pa.types.is_dictionary(kind):
        known = []
        places = np.empty(len(column), dtype=np.int64)

        def placed(more: list[Any]) -> list[int]:
            known.extend(more)
            return list(range(len(known) - len(more), len(known)))

        _gather(column, places, placed, -1)
        known.append(None)  # what a null row points to
        form, bits = found = values.bits_of(known)
        return (form[places], bits[places]), texts_of(known, found)
    numbers = np.empty(len(column), dtype=np.float64)
    null = ~column.is_valid().to_numpy() if column.null_count else None
    filled(column, numbers)
    wide = pa.types.is_integer(kind) and kind.bit_width == 64
    if wide and (np.abs(numbers) >= _EXACT).any():
        listed = column.to_pylist()
        found = values.bits_of(listed)
        return found, texts_of(listed, found)
    return bits_of_numbers(numbers, null), {}


def names_in(column: Any) -> tuple[npt.NDArray[np.int32], list[str]]:
    """The number of each row's name, -1 where it is null or "", and the names."""
    out = np.full(len(column), -1, dtype=np.int32)
    numbers: dict[str, int] = {}
    if not pa.types.is_null(column.type):
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        _gather(
            column,
            out,
            lambda known: [numbers.setdefault(n, len(numbers)) if n else -1 for n in known],
            -1,
        )
    return out, list(numbers)


def present(column: Any) -> _Mask:
    """Where a column holds a value that is neither null nor NaN."""
    masks = []
    for chunk in column.chunks:
        mask = chunk.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_dictionary(chunk.type):
            known = np.array([v is not None and v == v for v in chunk.dictionary.to_pylist()])
            if not known.all():
                own = plain(pa.chunked_array([chunk]))
                mask = np.array([value is not None for value in own], dtype=np.bool_)
        elif pa.types.is_floating(chunk.type):
            mask = mask & ~np.isnan(chunk.to_numpy(zero_copy_only=False))
        masks.append(mask)
    return np.concatenate(masks)


def plain(column: Any) -> list[Scalar]:
    """The column's values; null and NaN are None. A dictionary's values aren't copied a row."""
    values: list[Scalar] = []
    for chunk in column.chunks:
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
    column: Any,
    out: npt.NDArray[Any],
    translate: Callable[[list[Any]], list[Any]],
    null: float,
) -> None:
    """out[i] = translate(dictionary)[index i]; a dictionary equal to the last isn't done again."""
    at = 0
    last: Any = None
    table: npt.NDArray[Any] = out[:0]
    for chunk in column.chunks:
        end = at + len(chunk)
        dictionary = chunk.dictionary
        if last is None or not dictionary.equals(last):
            table = np.array([*translate(_values(dictionary)), null], dtype=out.dtype)
            last = dictionary
        indices = chunk.indices
        if indices.null_count:
            indices = indices.fill_null(0)
        # Every index is known to be good: what "clip" saves is a copy of the result.
        table.take(indices.to_numpy(zero_copy_only=False), out=out[at:end], mode="clip")
        if chunk.indices.null_count:
            out[at:end][chunk.indices.is_null().to_numpy(zero_copy_only=False)] = null
        at = end
