"""Kafka's default partitioner (murmur2 of the key), for many keys at once."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s

__all__ = ["murmur2", "partitions_of"]

_M = np.uint32(0x5BD1E995)
_FEW = 12
_SEED = np.uint32(0x9747B28C)


def murmur2(keys: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """murmur2 of each key with Kafka's seed, (n,) uint32; empty keys are allowed.

    Keys of equal length are hashed together, four bytes at a time over all of them.
    Source: Austin Appleby's MurmurHash2 (32 bits), as the Java client seeds it.
    """
    if len(keys) < _FEW:
        return np.array([_hash_one(key) for key in keys], dtype=np.uint32)
    hashes = np.empty(len(keys), dtype=np.uint32)
    lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
    for length in np.unique(lengths):
        where = np.flatnonzero(lengths == length)
        joined = b"".join([keys[i] for i in where.tolist()])
        block = np.frombuffer(joined, dtype=np.uint8).reshape(len(where), int(length))
        hashes[where] = _hash_block(block)
    return hashes


def _hash_one(key: bytes) -> int:
    """The same of one key, which is faster for a few."""
    factor, mask = int(_M), 0xFFFFFFFF
    state = int(_SEED) ^ len(key)
    whole = len(key) // 4 * 4
    for (word,) in struct.iter_unpack("<I", key[:whole]):
        mixed = word * factor & mask
        mixed ^= mixed >> 24
        state = (state * factor ^ mixed * factor) & mask
    if whole < len(key):
        state ^= int.from_bytes(key[whole:], "little")
        state = state * factor & mask
    state ^= state >> 13
    state = state * factor & mask
    return state ^ state >> 15


def _hash_block(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    count, length = block.shape
    with np.errstate(over="ignore"):
        state = np.full(count, _SEED ^ np.uint32(length), dtype=np.uint32)
        whole = length // 4 * 4
        words = np.ascontiguousarray(block[:, :whole]).view("<u4").reshape(count, whole // 4)
        for column in words.T:
            mixed = column * _M
            mixed ^= mixed >> np.uint32(24)
            state = (state * _M) ^ (mixed * _M)
        if whole < length:
            for place in range(length - whole - 1, -1, -1):
                state ^= block[:, whole + place].astype(np.uint32) << np.uint32(8 * place)
            state *= _M
        state ^= state >> np.uint32(13)
        state *= _M
        state ^= state >> np.uint32(15)
    return state


def partitions_of(keys: Sequence[bytes], count: int) -> Int64s:
    """The partition of each key among `count`, (n,) int64: (murmur2 & 0x7fffffff) mod count."""
    return ((murmur2(keys) & np.uint32(0x7FFFFFFF)) % np.uint32(count)).astype(np.int64)
