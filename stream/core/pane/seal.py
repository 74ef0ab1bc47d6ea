"""What a record of partials begins with: its magic, its format, a checksum of the rest."""

from __future__ import annotations

import xxhash

from stream.core.errors import StateError

__all__ = ["seal", "unseal"]

_MAGIC = b"DSP"
_FORMAT = 2  # of what follows: a change of the schema pane_partial is another format
_SUMS_BODY = 1  # the format whose checksum is of the body alone
_SUM_BYTES = 8
_HEAD_BYTES = len(_MAGIC) + 1 + _SUM_BYTES


def seal(body: bytes) -> bytes:
    """The body behind its magic, its format and the xxh3-64 checksum of all three.

    >>> unseal(seal(b"counts"))
    b'counts'
    """
    head = _MAGIC + bytes([_FORMAT])
    return head + xxhash.xxh3_64_digest(head + body) + body


def unseal(value: bytes) -> bytes:
    """The body; raises ValueError for what nobody sealed, StateError for another format's."""
    if not value.startswith(_MAGIC) or len(value) < _HEAD_BYTES:
        raise ValueError("this is no partial: something else writes here")
    body = value[_HEAD_BYTES:]
    head, told = value[: _HEAD_BYTES - _SUM_BYTES], value[_HEAD_BYTES - _SUM_BYTES : _HEAD_BYTES]
    written = value[len(_MAGIC)]
    if xxhash.xxh3_64_digest(body if written == _SUMS_BODY else head + body) != told:
        raise ValueError("the partial is cut off or damaged: its checksum is another")
    if written != _FORMAT:
        raise StateError(
            f"a partial has format {written}, and this release reads {_FORMAT}. Run one release of "
            "all workers: the one that wrote it until detect has read it all; or pass over it by "
            "`driftstream state reset detect --to latest`"
        )
    return body
