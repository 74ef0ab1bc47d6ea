"""What a profile gives up where its record would be too large."""

from __future__ import annotations

import numpy as np
import pytest

from stream.core.pane.content import content_bytes
from stream.core.pane.reference import Column, build_profile, profile_to_record
from stream.core.records import ModelKey
from stream.core.specs import Profile

MODEL = ModelKey("credit", "3")
NUMBERS, TEXTS = 640, 160


@pytest.fixture(scope="module")
def columns() -> dict[str, Column]:
    rng = np.random.default_rng(4)
    merchants = [f"merchant {number:03}" for number in range(50)]
    numbers = {f"features.x{i}": rng.normal(size=300) for i in range(NUMBERS)}
    texts = {f"features.t{i}": rng.choice(merchants, 300).tolist() for i in range(TEXTS)}
    return {**numbers, **texts}


def size_of(profile: Profile) -> int:
    return content_bytes(profile_to_record(profile))


def test_bins_and_categories_are_given_up_before_variables(columns: dict[str, Column]) -> None:
    whole = build_profile(MODEL, columns, max_bytes=10**7)
    for share, bins, categories in ((0.7, 32, 25), (0.45, 16, 12)):
        most = round(share * size_of(whole))
        cut = build_profile(MODEL, columns, max_bytes=most, max_others=0)
        assert len(cut.variables) == NUMBERS + TEXTS
        assert {variable.size for variable in cut.numeric} == {bins}
        assert {len(variable.categories) for variable in cut.categorical} == {categories}
        assert size_of(cut) <= most


def test_variables_are_given_up_at_last(columns: dict[str, Column]) -> None:
    many = {f"{name}{i}": column for i in range(2) for name, column in columns.items()}
    cut = build_profile(MODEL, many, max_bytes=100_000, bins=16, categories=16)
    assert 100 < len(cut.variables) < 1_000
    assert size_of(cut) <= 100_000
