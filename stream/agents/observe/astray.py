"""Looks for rows that stand in another partition than their key says."""

from __future__ import annotations

import logging
from collections import Counter

from stream.core.partitioner import partitions_of
from stream.core.records import Slice, Source

__all__ = ["Astray"]

_log = logging.getLogger(__name__)
_SAMPLE = 4  # records of a slice
_AGAIN_MS = 60_000  # between two warnings about one topic


class Astray:
    """Samples the records of slices, whether each is in the partition that its key belongs to.

    Labels find their predictions only if both are partitioned alike, so each producer has to
    use murmur2 of the key, as the Java client does by default. Records without key aren't
    looked at. `partitions` is the number of partitions of each source topic.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._warned_ms: dict[str, int] = {}

    def look(self, slice_: Slice, now_ms: int) -> Counter[str]:
        """How many sampled records of the slice are astray, by topic; warns now and then."""
        found: Counter[str] = Counter()
        last, steps = len(slice_) - 1, max(1, min(_SAMPLE, len(slice_)) - 1)
        places = dict.fromkeys(last * step // steps for step in range(steps + 1))
        keyed = [(place, key) for place in places if (key := slice_.key(place))]
        expected = partitions_of([key for _, key in keyed], self._partitions).tolist()
        for (place, _), partition in zip(keyed, expected, strict=True):
            source = slice_.sources[int(slice_.source[place])]
            if source.partition != partition:
                self._warn(source, int(slice_.offset[place]), partition, now_ms)
                found[source.topic] += 1
        return found

    def _warn(self, source: Source, offset: int, partition: int, now_ms: int) -> None:
        last_ms = self._warned_ms.get(source.topic)
        if last_ms is not None and now_ms - last_ms < _AGAIN_MS:
            return
        self._warned_ms[source.topic] = now_ms
        _log.warning(
            "%s: the record at offset %d stands in partition %d, its key belongs to %d: "
            "set partitioner=murmur2_random at the producer (librdkafka's default differs)",
            source.topic,
            offset,
            source.partition,
            partition,
        )
