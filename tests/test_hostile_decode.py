"""Every kind of hostile record, one by one and all together: refused for its reason, or counted."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc

import pytest

from stream.core.records import Header, Slice, Wants
from tests.decode_rows import NOW_MS, row, slice_of, text
from tests.decode_served import serving
from tests.hostile.avro import NAMED
from tests.hostile.mixture import KINDS, LARGE, mixture
from tests.hostile.outcome import decoded, expected, told


@pytest.mark.parametrize("kind", [*KINDS, *LARGE])
def test_a_record_of_each_kind_is_refused_for_its_reason_or_counts(kind: str) -> None:
    make = {**KINDS, **LARGE}[kind]
    for number in (1, 58) if kind in KINDS else (1,):
        case = make(number, NOW_MS)
        for known in (False, True):
            found = decoded([case], known=known)
            details = [f"{each.reason}: {each.detail}" for each in found.rejected]
            assert told(found) == expected([case]), details


@pytest.mark.parametrize("known", [False, True], ids=["no profile", "profile"])
def test_no_record_has_an_effect_on_its_neighbours(known: bool) -> None:
    cases = list(mixture(3, 4 * len(KINDS), NOW_MS))
    assert told(decoded(cases, known=known)) == expected(cases)


_GREEDY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from tests.decode_rows import NOW_MS
from tests.hostile.mixture import LARGE
from tests.hostile.outcome import decoded, expected, told
cases = [LARGE[kind](number, NOW_MS) for number, kind in enumerate(sys.argv[1:])]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert told(decoded(cases)) == expected(cases)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_record_that_would_grow_without_bound_takes_no_memory() -> None:
    command = [sys.executable, "-c", _GREEDY, "Avro that grows without bound"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50  # MB; each of its 4 million bytes would become 150 KB


def test_what_is_remembered_of_rows_is_bounded_in_bytes() -> None:
    decode = serving(wants=lambda _model: Wants())
    tracemalloc.start()
    try:
        decode.decode(_large_ones(0))
        before = tracemalloc.get_traced_memory()[0]
        for first in range(20, 200, 20):
            decode.decode(_large_ones(first))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 15_000_000, "of 36 MB of texts and 10 MB of schemas, all different"


def _large_ones(first: int) -> Slice:
    """Predictions of long texts, and rows with schemas of their own in their headers."""
    values: list[bytes] = []
    headers: list[list[Header]] = []
    for number in range(first, first + 20):
        values.append(text(row(prediction=str(number).ljust(200_000, "x"))))
        headers.append([])
        fields = [{"name": name, "type": "string"} for name in ("prediction_id", "model")]
        fields += [{"name": f"f{number}_{i}", "type": "null"} for i in range(1_500)]
        fields.append({"name": "event_time_ms", "type": "long"})
        schema = json.dumps({"type": "record", "name": "R", "fields": fields}).encode()
        values.append(b"x")
        headers.append([NAMED[0], ("schema", schema)])
    return slice_of(values, headers=headers)
