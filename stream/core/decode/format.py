"""Which wire format each record of a slice has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason, Rejected
from stream.core.records import Header, Slice

__all__ = ["Format", "Formats", "formats_of"]

_CONTENT_TYPE: Final = "content-type"


class Format(IntEnum):
    """How a record's value is encoded; NONE is a record that is rejected for its format."""

    NONE = 0
    JSON = 1
    AVRO = 2
    ARROW = 3


_BY_FIRST_BYTE: Final = np.zeros(256, dtype=np.uint8)
_BY_FIRST_BYTE[ord("{")] = Format.JSON
_BY_FIRST_BYTE[0x00] = Format.AVRO
_BY_FIRST_BYTE[0xFF] = Format.ARROW  # the continuation marker of an IPC stream
for _space in b" \t\r\n":
    _BY_FIRST_BYTE[_space] = Format.JSON

_BY_CONTENT_TYPE: Final = {
    "application/json": Format.JSON,
    "text/json": Format.JSON,
    "application/vnd.schemaregistry.v1+json": Format.AVRO,
    "application/avro": Format.AVRO,
    "avro/binary": Format.AVRO,
    "application/vnd.apache.avro": Format.AVRO,
    "application/vnd.apache.avro+binary": Format.AVRO,
    "application/vnd.apache.arrow.stream": Format.ARROW,
}


@dataclass(frozen=True, slots=True)
class Formats:
    """The format of each record, and the records that have none."""

    codes: npt.NDArray[np.uint8]
    rejected: list[Rejected] = field(default_factory=list)

    def records(self, wanted: Format) -> npt.NDArray[np.int32]:
        """The indices of the records of a format, ascending."""
        return np.flatnonzero(self.codes == wanted).astype(np.int32)

    def only(self, mask: npt.NDArray[np.bool_]) -> Formats:
        """The formats of the mask's records; the others have none."""
        return Formats(np.where(mask, self.codes, np.uint8(Format.NONE)))


def formats_of(slice_: Slice, limits: DecodeLimits) -> Formats:
    """The format of every record: what its `content-type` says, else what its first byte tells."""
    values: Sequence[Any] = slice_.values  # None raises below, and is rejected then
    try:
        codes = _BY_FIRST_BYTE[np.frombuffer(bytes(map(itemgetter(0), values)), dtype=np.uint8)]
        sizes = max(map(len, values)) if len(values) else 0
    except (TypeError, IndexError):
        codes = _one_by_one(values)
        sizes = limits.max_record_bytes + 1
    if slice_.headers is not None:
        _by_header(slice_.headers, codes)
    found = Formats(codes)
    if sizes > limits.max_record_bytes or not codes.all():
        _reject(values, found, limits)
    return found


def _content_type(headers: Sequence[Header] | None) -> str | None:
    """The media type that the headers name, lower case, without parameters; None if none does."""
    for name, value in headers or ():
        if name.lower() == _CONTENT_TYPE:
            return (value or b"").decode("utf-8", "replace").partition(";")[0].strip().lower()
    return None


def _one_by_one(values: Sequence[bytes | None]) -> npt.NDArray[np.uint8]:
    first = [_BY_FIRST_BYTE[value[0]] if value else Format.NONE for value in values]
    return np.array(first, dtype=np.uint8)


def _by_header(headers: Sequence[Sequence[Header] | None], codes: npt.NDArray[np.uint8]) -> None:
    last: Sequence[Header] | None = None
    code: Format | None = None
    for i, own in enumerate(headers):
        if own:
            if own != last:  # a producer's records have equal headers
                last, code = own, _BY_CONTENT_TYPE.get(_content_type(own) or "")
            if code is not None:
                codes[i] = code


def _reject(values: Sequence[bytes | None], found: Formats, limits: DecodeLimits) -> None:
    for i, value in enumerate(values):
        if not value:
            reason, detail = Reason.EMPTY, "the record has no value"
        elif len(value) > limits.max_record_bytes:
            reason = Reason.OVERSIZED
            detail = f"{len(value)} bytes; at most {limits.max_record_bytes}"
        elif found.codes[i] == Format.NONE:
            reason = Reason.UNKNOWN_FORMAT
            detail = (
                f"first byte 0x{value[0]:02x} and no content-type that is known: "
                "expected JSON, Avro or an Arrow IPC stream"
            )
        else:
            continue
        found.codes[i] = Format.NONE
        found.rejected.append(Rejected(i, reason, detail))
