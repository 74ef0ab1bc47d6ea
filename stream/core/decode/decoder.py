"""The stage: a slice in, column batches, raw batches and rejections out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Profiles
from stream.core.decode.arrow import ArrowReader
from stream.core.decode.assemble import Assembled, Parsed, assemble
from stream.core.decode.avro import ROW_FIELDS, AvroReader, SchemaSource, convert_row
from stream.core.decode.envelope import Envelope
from stream.core.decode.fields import Refusal, RefusedError
from stream.core.decode.format import Format, Formats, formats_of
from stream.core.decode.label_reader import LabelReader
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.plan import Reader
from stream.core.decode.plans import Plans
from stream.core.decode.text import drain, nan_as_null, plain_envelope, read_envelope
from stream.core.decode.values import Values
from stream.core.errors import Rejected
from stream.core.labels import Labels
from stream.core.records import CARRIES_PREDICTION, Decoded, Slice, Wants

__all__ = ["Decoder"]

_LABELS: Final = 255  # no row of labels gets as far as to carry something
_CARRIES: Final[Mapping[str, int]] = {
    "predictions": CARRIES_PREDICTION,
    "features": 0,
    "labels": _LABELS,
}


class Decoder:
    """Decodes rows of `predictions`, `features` and `labels`, whatever their format.

    `registry` knows the schemas of framed Avro rows, `schemas` holds our own ones parsed, by
    name (`prediction`, `feature_row`, `label`). One thread at a time. Its memory is bounded by
    the catalog and by `limits`.

    `wants` tells what a model's rows must carry besides variables (`records.Served`), None
    for nothing. It is asked once a model, and again after `ask_again`; its answer must hold
    for all rows of the model, whatever their time.
    """

    def __init__(
        self,
        profiles: Profiles,
        registry: SchemaSource | None = None,
        schemas: Mapping[str, dict[str, Any]] | None = None,
        limits: DecodeLimits | None = None,
        wants: Callable[[str], Wants | None] | None = None,
    ) -> None:
        self._limits = limits or DecodeLimits()
        self._plans = Plans(profiles, self._limits.max_features, wants)
        self._values = Values()
        own = schemas or {}
        self._avro_reader = AvroReader(registry, own, ROW_FIELDS, self._converted)
        self._labels = LabelReader(registry, own, self._limits)
        self._arrow_reader = ArrowReader(self._plans, self._values, self._limits)
        self._guess: Reader | None = None
        self._often_nan = False  # read literals of NaN as null before rows are refused for them

    def ask_again(self) -> None:
        """What models want may have changed: from the next slice on `wants` is asked anew."""
        self._plans.ask_again()

    def decode(self, slice_: Slice) -> Decoded:
        """Every record of the slice in a batch, in a raw batch or among the rejected.

        Rows ascend by (record, row) within each batch. A rejection depends on the row alone;
        batch or raw batch depends on the profiles known. Raises KeyError for a topic that is
        none of the three, BrokerError where the registry cannot be asked; nothing is lost
        then, the same slice may be decoded again.
        """
        self._plans.refresh()
        kinds = np.array([_CARRIES[s.topic] for s in slice_.sources], dtype=np.uint8)
        carries = kinds[slice_.source]
        found = formats_of(slice_, self._limits)
        rejected = list(found.rejected)
        labels: Labels | None = None
        if _LABELS in kinds:
            of_labels = carries == _LABELS
            labels = self._labels.read(slice_, found.only(of_labels), rejected)
            found = found.only(~of_labels)
        parts = self._rows(slice_, found, carries)
        return Decoded(
            batches=tuple(batch for part in parts for batch in part.batches),
            raw=tuple(batch for part in parts for batch in part.raw),
            rejected=tuple(
                sorted(
                    [*rejected, *(r for part in parts for r in part.rejected)],
                    key=lambda r: (r.record, r.rows),
                )
            ),
            labels=labels,
        )

    def _rows(
        self, slice_: Slice, found: Formats, carries: npt.NDArray[np.uint8]
    ) -> list[Assembled]:
        parts: list[Assembled] = []
        text = found.records(Format.JSON)
        if len(text):
            parts.append(self._json(slice_, text, carries))
        avro = found.records(Format.AVRO)
        if len(avro):
            parts.append(self._avro(slice_, avro, carries))
        arrow = found.records(Format.ARROW)
        if len(arrow):
            clock = slice_.timestamp_ms
            parts.append(self._arrow_reader.read(slice_.values, arrow, carries, clock))
        return parts

    def _json(
        self,
        slice_: Slice,
        record: npt.NDArray[np.int32],
        carries: npt.NDArray[np.uint8],
    ) -> Assembled:
        whole_slice = len(record) == len(slice_)
        values: Sequence[Any] = (
            slice_.values if whole_slice else [slice_.values[i] for i in record.tolist()]
        )
        guess, self._guess = self._guess, None
        if guess is None or guess.read_whole is None:
            guess = None
        done = self._assembled(slice_, record, carries, values, guess)
        if done.misread:
            done = self._assembled(slice_, record, carries, values, None)
        self._guess = done.only
        return done

    def _avro(
        self, slice_: Slice, record: npt.NDArray[np.int32], carries: npt.NDArray[np.uint8]
    ) -> Assembled:
        rejected: list[Rejected] = []
        record, envelopes = self._avro_reader.read_all(slice_, record, rejected)
        parsed = Parsed(
            record=record,
            envelopes=envelopes,
            carries=carries[record],
            timestamp_ms=slice_.timestamp_ms[record],
            dicts=True,
        )
        done = assemble(parsed, self._plans, self._values, self._limits)
        done.rejected.extend(rejected)
        return done

    def _assembled(
        self,
        slice_: Slice,
        record: npt.NDArray[np.int32],
        carries: npt.NDArray[np.uint8],
        values: Sequence[bytes],
        guess: Reader | None,
    ) -> Assembled:
        """The rows, read in one pass by the reader that all of the last ones had, or in two."""
        read = read_envelope if guess is None or guess.read_whole is None else guess.read_whole
        envelopes, refused = self._read(read, values)
        if refused:
            kept = [i for i in range(len(envelopes)) if i not in refused]
            envelopes = [envelopes[i] for i in kept]
            rejected = [Rejected(int(record[i]), *why) for i, why in refused.items()]
            record = record[kept]
        parsed = Parsed(
            record=record,
            envelopes=envelopes,
            carries=carries[record],
            timestamp_ms=slice_.timestamp_ms[record],
            whole=guess,
            texts=slice_.values,
        )
        done = assemble(parsed, self._plans, self._values, self._limits)
        if refused:
            done.rejected.extend(rejected)
        return done

    def _read(
        self, read: Callable[[bytes], Any], values: Sequence[bytes]
    ) -> tuple[list[Any], dict[int, Refusal]]:
        texts = values
        if self._often_nan:
            texts = [nan_as_null(value) if b"NaN" in value else value for value in values]
        envelopes, places = drain(map(read, texts))
        odd = range(len(values)) if self._often_nan else places
        self._often_nan = 8 * sum(b"NaN" in values[i] for i in odd) > len(values)
        refused: dict[int, Refusal] = {}
        for i in places:
            try:
                envelopes[i] = self._reread(values[i])
            except RefusedError as error:
                refused[i] = error.refusal
        return envelopes, refused

    def _converted(self, record: dict[str, Any]) -> Envelope:
        return convert_row(record, self._limits.max_features)

    def _reread(self, value: bytes) -> Envelope:
        """A row that the fast road refused: the plain envelope first, then field by field."""
        if b"NaN" not in value:
            (envelope,), refused = drain(map(read_envelope, (value,)))
            if not refused:
                read: Envelope = envelope
                return read
        return plain_envelope(value, self._limits.max_features)
