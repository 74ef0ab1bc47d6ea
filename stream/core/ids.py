"""What prediction ids are compared by: 128 bits, whatever the id's text and the record's format."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from stream.core.records import Int64s

__all__ = ["ids_of", "ids_of_text", "ids_of_uuids"]

_LENGTH: Final = 36
_DASHES: Final = (8, 13, 18, 23)
_HEX: Final = rb"[0-9a-fA-F]"
_is_uuid: Final = re.compile(rb"%b{8}(?:-%b{4}){3}-%b{12}" % (_HEX, _HEX, _HEX)).fullmatch

_Keys = npt.NDArray[np.uint64]


def ids_of(ids: Sequence[str]) -> _Keys:
    """The key of each id, (n, 2) uint64: a UUID's 16 bytes, of any other id xxh3-128 of UTF-8.

    A UUID is 32 hexadecimal digits of either case in groups of 8-4-4-4-12; with braces, `urn:`
    or without dashes it is any other id. Raises UnicodeEncodeError for a lone surrogate.

    >>> one, other = "00000000-0000-0000-0000-00000000002A", "00000000-0000-0000-0000-00000000002a"
    >>> bool((ids_of([one]) == ids_of([other])).all()), ids_of(["order-17"]).shape
    (True, (1, 2))
    """
    lines = "\n".join([*ids, ""]).encode()  # with line ends, equal lengths need no second look
    keys = _uuids(lines, len(ids), _LENGTH + 1)
    return _each(list(map(str.encode, ids))) if keys is None else keys


def ids_of_text(text: bytes | memoryview, ends: Int64s) -> _Keys:
    """The same of ids that lie behind each other: id i is text[ends[i]:ends[i + 1]].

    `ends` is (n + 1,) int64, ascending; what lies before the first and after the last is no id.
    """
    whole = bytes(text[int(ends[0]) : int(ends[-1])])
    if (ends[1:] - ends[:-1] == _LENGTH).all():
        keys = _uuids(whole, len(ends) - 1, _LENGTH)
        if keys is not None:
            return keys
    places = (ends - ends[0]).tolist()
    return _each([whole[a:b] for a, b in pairwise(places)])


def ids_of_uuids(raw: bytes | memoryview) -> _Keys:
    """The same of UUIDs as their 16 bytes each, behind each other."""
    return np.frombuffer(raw, dtype="<u8").reshape(-1, 2).astype(np.uint64, copy=False)


def _uuids(text: bytes, count: int, width: int) -> _Keys | None:
    """The keys where the text is `count` UUIDs, with a line end each if `width` says so.

    Nothing but dashes and line ends is taken out and they are counted, so that those found in
    their places are all there are.
    """
    if len(text) != count * width:
        return None
    if any(text[place::width].count(b"-") != count for place in _DASHES):
        return None
    if width > _LENGTH and text[_LENGTH::width].count(b"\n") != count:
        return None
    digits = text.translate(None, b"-\n")
    if len(digits) != 32 * count:
        return None
    try:
        return ids_of_uuids(binascii.unhexlify(digits))
    except binascii.Error:
        return None


def _each(ids: Sequence[bytes]) -> _Keys:
    """The keys of ids of any form."""
    digests = [
        binascii.unhexlify(each.replace(b"-", b""))
        if len(each) == _LENGTH and _is_uuid(each)
        else xxhash.xxh3_128_digest(each)
        for each in ids
    ]
    return ids_of_uuids(b"".join(digests))
