"""A task's state as changelog records: immutable chunks in buckets that are rewritten when full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["CROWDED", "Buckets", "Record"]

CROWDED = 64  # records a bucket, beyond those of its last rewriting, before it is rewritten

Record = tuple[bytes, bytes | None]


@dataclass(slots=True)
class _Bucket:
    keys: list[bytes] = field(default_factory=list)
    next: int = 0
    base: int = 0  # how many of the keys the last rewriting made


class Buckets:
    """Which records each bucket has on the changelog. A record's key is BUCKET/SEQUENCE."""

    def __init__(self, crowded: int = CROWDED) -> None:
        self._crowded = crowded
        self._buckets: dict[bytes, _Bucket] = {}

    def found(self, key: bytes) -> None:
        """Takes in a record's key that is on the changelog."""
        name, _, sequence = key.rpartition(b"/")
        bucket = self._buckets.setdefault(name, _Bucket())
        bucket.keys.append(key)
        bucket.next = max(bucket.next, int(sequence) + 1)

    def crowded(self, name: bytes) -> bool:
        """Whether it is time to rewrite a bucket: it has had many records since the last time."""
        bucket = self._buckets.get(name)
        return bucket is not None and len(bucket.keys) > self._crowded + 2 * bucket.base

    def append(self, name: bytes, values: Sequence[bytes]) -> Iterator[Record]:
        """The records that add values to a bucket."""
        bucket = self._buckets.setdefault(name, _Bucket())
        for value in values:
            key = b"%s/%08d" % (name, bucket.next)
            bucket.next += 1
            bucket.keys.append(key)
            yield key, value

    def rewrite(self, name: bytes, values: Sequence[bytes]) -> Iterator[Record]:
        """The records that make values a bucket's whole content; without values it is gone."""
        bucket = self._buckets.pop(name, _Bucket())
        yield from ((key, None) for key in bucket.keys)
        if values:
            self._buckets[name] = _Bucket(next=bucket.next, base=len(values))
            yield from self.append(name, values)
