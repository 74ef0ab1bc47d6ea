"""Arrow record batches to column batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.decode.arrow_checks import Reasons, check_ids, check_models, with_times
from stream.core.decode.arrow_group import batches_of
from stream.core.decode.arrow_streams import ArrowStreams
from stream.core.decode.assemble import Assembled
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.plans import Plans
from stream.core.decode.values import Values
from stream.core.errors import Reason
from stream.core.records import Int64s

__all__ = ["ArrowReader"]


class ArrowReader:
    """Reads rows of `predictions` and `features` from Arrow IPC streams."""

    def __init__(self, plans: Plans, values: Values, limits: DecodeLimits) -> None:
        self._plans = plans
        self._values = values
        self._limits = limits
        self._streams = ArrowStreams(limits)

    def read(
        self,
        values: Sequence[Any],
        record: npt.NDArray[np.int32],
        carries: npt.NDArray[np.uint8],
        timestamp_ms: Int64s,
    ) -> Assembled:
        """The rows of the records whose indices are given; the other columns are the slice's."""
        done = Assembled()
        for group in self._streams.groups(values, record, carries, done.rejected):
            reasons = Reasons(len(group.record))
            check_ids(group, reasons)
            check_models(group, reasons)
            rows = with_times(group, timestamp_ms + self._limits.max_clock_skew_ms, reasons)
            if not group.layout.has_features:
                reasons.add(rows.carries == 0, Reason.MISSING_FIELD, "features: no such column")
            if reasons.codes.any():
                done.rejected.extend(reasons.rejected(rows))
                rows = rows.keep(reasons.codes == 0)
            if len(rows.record):
                batches_of(rows, self._plans, self._values, done)
        return done
