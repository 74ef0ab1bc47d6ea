"""The labels of a slice, whatever their formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.core.decode.avro import AvroReader, SchemaSource
from stream.core.decode.format import Format, Formats
from stream.core.decode.labels import LabelRow, convert_label, labels_of, merged, read_labels
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.values import Values
from stream.core.errors import Rejected
from stream.core.labels import Labels
from stream.core.records import Slice

__all__ = ["LabelReader"]

_FIELDS: Final = frozenset({"prediction_id", "label", "event_time_ms"})


class LabelReader:
    """Reads labels; whether one is refused depends on the label alone."""

    def __init__(
        self,
        registry: SchemaSource | None,
        schemas: Mapping[str, dict[str, Any]],
        limits: DecodeLimits,
    ) -> None:
        self._limits = limits
        self._values = Values()
        self._avro = AvroReader(registry, schemas, _FIELDS, convert_label)

    def read(self, slice_: Slice, found: Formats, rejected: list[Rejected]) -> Labels | None:
        """The labels of the records that have a format, ascending by (record, row)."""
        parts: list[Labels] = []
        text = found.records(Format.JSON)
        if len(text):
            values: list[Any] = [slice_.values[i] for i in text.tolist()]
            self._add(*read_labels(values, text, rejected), slice_, parts, rejected)
        avro = found.records(Format.AVRO)
        if len(avro):
            read = self._avro.read_all(slice_, avro, rejected)
            self._add(*read, slice_, parts, rejected)
        return merged(parts)

    def _add(
        self,
        record: npt.NDArray[np.int32],
        rows: Sequence[LabelRow],
        slice_: Slice,
        parts: list[Labels],
        rejected: list[Rejected],
    ) -> None:
        timestamp_ms = slice_.timestamp_ms[record]
        part, bad = labels_of(rows, record, timestamp_ms, self._values, self._limits)
        rejected.extend(bad)
        if part is not None:
            parts.append(part)
