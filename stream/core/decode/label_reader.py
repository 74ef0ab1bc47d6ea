"""The labels of a slice, whatever their formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.core.decode.arrow_checks import Reasons, check_ids, check_models, with_times
from stream.core.decode.arrow_columns import bits_in, ids_in, names_in
from stream.core.decode.arrow_streams import ArrowStreams, Group
from stream.core.decode.avro import AvroReader, SchemaSource
from stream.core.decode.format import Format, Formats
from stream.core.decode.labels import (
    NOT_FINITE,
    LabelRow,
    convert_label,
    labels_of,
    merged,
    read_labels,
)
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.values import Values, not_finite
from stream.core.errors import Reason, Rejected
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
        self._streams = ArrowStreams(limits, labels=True)
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
        arrow = found.records(Format.ARROW)
        if len(arrow):
            carries = np.zeros(len(slice_), dtype=np.uint8)
            for group in self._streams.groups(slice_.values, arrow, carries, rejected):
                self._add_group(group, slice_, parts, rejected)
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

    def _add_group(
        self, group: Group, slice_: Slice, parts: list[Labels], rejected: list[Rejected]
    ) -> None:
        """The labels of Arrow batches of one schema."""
        reasons = Reasons(len(group.record))
        check_ids(group, reasons)
        check_models(group, reasons)
        group = with_times(group, slice_.timestamp_ms + self._limits.max_clock_skew_ms, reasons)
        place = group.layout.label or 0
        bits, texts = bits_in(group.column(place), self._values)
        reasons.add(not_finite(bits), Reason.WRONG_TYPE, NOT_FINITE)
        if reasons.codes.any():
            rejected.extend(reasons.rejected(group))
            good = reasons.codes == 0
            group, bits = group.keep(good), (bits[0][good], bits[1][good])
        if not len(group.record):
            return
        model, models = _models(group)
        parts.append(
            Labels(
                record=group.record,
                row=group.row,
                event_time_ms=group.event_time_ms,
                ids=ids_in(group.column(group.layout.prediction_id)),
                form=bits[0],
                bits=bits[1],
                model=model,
                models=models,
                texts=texts,
            )
        )


def _models(group: Group) -> tuple[npt.NDArray[np.int32], list[str]]:
    """What the column says, else what the schema's metadata does."""
    if group.layout.model_column is not None:
        return names_in(group.column(group.layout.model_column))
    name = group.layout.model.model
    number = np.full(len(group.record), 0 if name else -1, dtype=np.int32)
    return number, [name] if name else []
