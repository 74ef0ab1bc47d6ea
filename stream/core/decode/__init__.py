"""Decode: a slice of records becomes column batches and rejections."""

from __future__ import annotations

from stream.core.decode.avro import SchemaSource
from stream.core.decode.decoder import Decoder
from stream.core.decode.limits import DecodeLimits

__all__ = ["DecodeLimits", "Decoder", "SchemaSource"]
