"""Messages as a consumer gave them, with the columns that say where each one stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
import numpy.typing as npt
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from stream.core.records import Int64s

__all__ = ["Fetched"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """n records with their places, offsets and Kafka's timestamps: (n,) each.

    A place is the number of a source among all that are read. Offsets ascend within one.
    `appended` tells the timestamps that are the broker's clock; others are a producer's.
    Nothing is done a message: columns come from C-level maps over the messages.
    """

    messages: Sequence[Message]
    place: npt.NDArray[np.int32]
    offset: Int64s
    timestamp_ms: Int64s
    appended: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.messages)

    @classmethod
    def at(cls, place: npt.NDArray[np.int32], messages: Sequence[Message]) -> Self:
        """The messages, whose places are known."""
        count = len(messages)
        offset = np.fromiter(map(Message.offset, messages), np.int64, count)
        stamps = chain.from_iterable(map(Message.timestamp, messages))
        clock, time_ms = np.fromiter(stamps, np.int64, 2 * count).reshape(count, 2).T
        appended = clock == TIMESTAMP_LOG_APPEND_TIME
        return cls(messages, place, offset, np.ascontiguousarray(time_ms), appended)

    def pick(self, which: npt.NDArray[np.intp]) -> Self:
        """The records at these indices, in the order of the indices."""
        return self._with(list(map(self.messages.__getitem__, which.tolist())), which)

    def cut(self, start: int, stop: int) -> Self:
        """The records from one index up to another."""
        return self._with(self.messages[start:stop], slice(start, stop))

    def then(self, others: Sequence[Self]) -> Self:
        """These records and after them the others', in order."""
        if not others:
            return self
        all_ = [self, *others]
        return type(self)(
            list(chain.from_iterable(one.messages for one in all_)),
            np.concatenate([one.place for one in all_]),
            np.concatenate([one.offset for one in all_]),
            np.concatenate([one.timestamp_ms for one in all_]),
            np.concatenate([one.appended for one in all_]),
        )

    def _with(self, messages: Sequence[Message], which: npt.NDArray[np.intp] | slice) -> Self:
        columns = self.place[which], self.offset[which], self.timestamp_ms[which]
        return type(self)(messages, *columns, self.appended[which])
