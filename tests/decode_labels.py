"""What the tests of labels share: a label's row, and decoded labels in one comparable form."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream.core.ids import ids_of
from stream.core.labels import Labels, label_bits
from stream.core.records import Decoded
from tests.decode_rows import ABSENT, NOW_MS, decoder, slice_of


def label(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"prediction_id": "id-1", "label": 1, "event_time_ms": NOW_MS, **fields}
    return {name: value for name, value in whole.items() if value is not ABSENT}


Seen = tuple[int, tuple[int, int], int, int, str | None]


def seen(labels: Labels | None) -> dict[tuple[int, int], Seen]:
    """Every label by (record, row): time, id's key, form, bits, model."""
    if labels is None:
        return {}
    places = list(zip(labels.record.tolist(), labels.row.tolist(), strict=True))
    assert places == sorted(set(places))
    dtypes = (labels.record, labels.row, labels.form, labels.bits, labels.model, labels.ids)
    kinds = [np.int32, np.int32, np.uint8, np.uint64, np.int32, np.uint64]
    assert [column.dtype for column in dtypes] == kinds
    models = [None if m < 0 else labels.models[m] for m in labels.model.tolist()]
    return {
        place: (time, tuple(key), form, bits, model)
        for place, time, key, form, bits, model in zip(
            places,
            labels.event_time_ms.tolist(),
            labels.ids.tolist(),
            labels.form.tolist(),
            labels.bits.tolist(),
            models,
            strict=True,
        )
    }


def expected(row_: dict[str, Any]) -> Seen:
    (key,) = ids_of([row_["prediction_id"]]).tolist()
    form, bits = label_bits(row_["label"])
    return row_["event_time_ms"], tuple(key), int(form), bits, row_.get("model") or None


def decoded(values: list[bytes | None], **options: Any) -> Decoded:
    return decoder(**options).decode(slice_of(values, "labels"))
