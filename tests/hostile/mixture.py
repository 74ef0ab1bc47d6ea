"""All kinds of hostile records, and streams of them in any number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tests.hostile.arrow import ARROW, LARGE_ARROW
from tests.hostile.avro import AVRO, LARGE_AVRO
from tests.hostile.case import Case, Maker
from tests.hostile.labels import FEATURES, LABELS
from tests.hostile.texts import LARGE_TEXTS, TEXTS

__all__ = ["KINDS", "LARGE", "mixture"]

KINDS: Mapping[str, Maker] = {**TEXTS, **AVRO, **ARROW, **LABELS, **FEATURES}
LARGE: Mapping[str, Maker] = {**LARGE_TEXTS, **LARGE_AVRO, **LARGE_ARROW}


def mixture(
    seed: int, count: int, now_ms: int, *, large: int = 0, first: int = 0
) -> Iterator[Case]:
    """`count` records of all kinds in random order, and `large` more of each large kind.

    Their numbers, no two of which may be alike on a topic, begin with `first`.
    """
    rng = np.random.default_rng(seed)
    kinds = list(KINDS.values())
    makers = [kinds[number % len(kinds)] for number in range(count)]
    makers += [make for make in LARGE.values() for _ in range(large)]
    for number in rng.permutation(len(makers)).tolist():
        yield makers[number](first + number, now_ms)
