"""What decoding a hostile record came to, and what it should have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stream.core.records import Decoded
from tests.decode_labels import seen
from tests.decode_rows import decoder, profile, rows_of, slice_of
from tests.hostile.case import Case

__all__ = ["Told", "decoded", "expected", "told"]

Told = Counter[tuple[int, str]]


def decoded(cases: Sequence[Case], *, known: bool = False) -> Decoded:
    """The cases decoded as one slice."""
    return decoder(*([profile()] if known else [])).decode(
        slice_of(
            [case.record.value for case in cases],
            [case.topic for case in cases],
            headers=[list(case.record.headers) or None for case in cases],
        )
    )


def told(found: Decoded) -> Told:
    """Rows that count (reason "") and that are refused, a record and reason."""
    rows = [*rows_of(found, profile()), *seen(found.labels)]
    counts: Told = Counter((record, "") for record, _ in rows)
    for each in found.rejected:
        assert (each.record, each.reason.value) not in counts, "one letter a record and reason"
        counts[each.record, each.reason.value] = max(1, len(each.rows))
    return counts


def expected(cases: Sequence[Case]) -> Told:
    """What the cases say of themselves, in the same form."""
    counts: Told = Counter()
    for record, case in enumerate(cases):
        if case.rows:
            counts[record, ""] = case.rows
        for reason, rows in case.refused.items():
            counts[record, reason.value] = rows
    return counts
