"""How much one record may ask of a worker."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DecodeLimits"]


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on a record; what exceeds one is rejected, never cut.

    `max_features` counts a row's features (and, apart, the classes of its score).
    `max_record_bytes` bounds the record as it came, `max_unpacked_bytes` an Arrow record once
    unpacked (which may also be no more than 50 times the record, or 1 MiB). A row may be at
    most `max_clock_skew_ms` later than its record's Kafka timestamp.
    """

    max_features: int = 1_000
    max_record_bytes: int = 8 << 20
    max_unpacked_bytes: int = 64 << 20
    max_rows_per_record: int = 100_000
    max_clock_skew_ms: int = 300_000
