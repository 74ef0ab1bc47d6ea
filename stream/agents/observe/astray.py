"""Looks for rows that stand in another partition than their key says."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from stream.core.partitioner import partitions_of
from stream.core.records import Slice

__all__ = ["astray_rows"]

_log = logging.getLogger(__name__)
_SAMPLE = 4  # records of a slice


def astray_rows(slice_: Slice, partitions: int) -> Counter[str]:
    """How many of a few records of the slice are astray, by topic; records without key aren't.

    Labels find their predictions only if both are partitioned alike, so each producer has to
    use murmur2 of the key, as the Java client does by default.
    """
    found: Counter[str] = Counter()
    places = np.linspace(0, len(slice_) - 1, min(_SAMPLE, len(slice_))).astype(int).tolist()
    keyed = [(place, key) for place in places if (key := slice_.key(place))]
    expected = partitions_of([key for _, key in keyed], partitions).tolist()
    for (place, _), partition in zip(keyed, expected, strict=True):
        source = slice_.sources[int(slice_.source[place])]
        if source.partition != partition:
            if not found:
                _log.warning(
                    "%s: the record at offset %d stands in partition %d, its key belongs to %d: "
                    "set partitioner=murmur2_random at the producer (librdkafka's default differs)",
                    source.topic,
                    slice_.offset[place],
                    source.partition,
                    partition,
                )
            found[source.topic] += 1
    return found
