"""What holds for every row whatever its topic: its id and its time, many at once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from stream.core.decode.fields import id_refusal
from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason
from stream.core.records import Int64s

__all__ = ["Bad", "checked"]

Bad = dict[int, tuple[Reason, str]]


def checked(
    ids: Sequence[str], times: Sequence[float], timestamp_ms: Int64s, limits: DecodeLimits
) -> tuple[Int64s, Bad]:
    """Event times in whole milliseconds, and what is wrong with ids and times, by place."""
    exact = np.array(array("d", times))
    event_time_ms = exact.astype(np.int64)
    bad: Bad = {}
    if not "".join(ids).isascii():
        bad.update((i, r) for i, r in enumerate(map(id_refusal, ids)) if r is not None)
    for i in np.flatnonzero(exact != event_time_ms).tolist():
        detail = f"event_time_ms: expected whole milliseconds, got {times[i]}"
        bad.setdefault(i, (Reason.WRONG_TYPE, detail))
    latest = timestamp_ms + limits.max_clock_skew_ms
    for i in np.flatnonzero(event_time_ms > latest).tolist():
        late = int(event_time_ms[i]) - int(timestamp_ms[i])
        detail = f"event_time_ms: {late} ms later than its arrival; check the producer's clock"
        bad.setdefault(i, (Reason.EVENT_TIME_IN_FUTURE, detail))
    return event_time_ms, bad
