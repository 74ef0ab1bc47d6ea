"""What a record of partials begins with: its magic, its format, a checksum of the rest."""

from __future__ import annotations

import xxhash

__all__ = ["seal", "unseal"]

_MAGIC = b"DSP"
_FORMAT = 1  # of what follows: a change of the schema pane_partial is another format
_SUM_BYTES = 8
_HEAD_BYTES = len(_MAGIC) + 1 + _SUM_BYTES


def seal(body: bytes) -> bytes:
    """The body behind its magic, its format and its xxh3-64 checksum.

    >>> unseal(seal(b"counts"))
    b'counts'
    """
    return _MAGIC + bytes([_FORMAT]) + xxhash.xxh3_64_digest(body) + body


def unseal(value: bytes) -> bytes:
    """The body; raises ValueError where it isn't what this release sealed."""
    if not value.startswith(_MAGIC) or len(value) < _HEAD_BYTES:
        raise ValueError("this is no partial: something else writes here")
    written = value[len(_MAGIC)]
    if written != _FORMAT:
        raise ValueError(
            f"the partial has format {written}, this release reads {_FORMAT}: run one release of "
            "all workers"
        )
    body = value[_HEAD_BYTES:]
    if xxhash.xxh3_64_digest(body) != value[_HEAD_BYTES - _SUM_BYTES : _HEAD_BYTES]:
        raise ValueError("the partial is cut off or damaged: its checksum is another")
    return body
