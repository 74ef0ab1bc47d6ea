"""Models' names: one form for people, one for records' keys."""

from __future__ import annotations

import pytest

from stream.core.pane.reference import build_profile, profile_key
from stream.core.records import ModelKey


@pytest.mark.parametrize(
    ("model", "shown", "key"),
    [(ModelKey("credit", "3"), "credit@3", "credit@3"), (ModelKey("shop", ""), "shop", "shop@")],
)
def test_a_model_without_a_version_is_shown_by_its_name_and_keyed_as_ever(
    model: ModelKey, shown: str, key: str
) -> None:
    assert str(model) == f"{model}" == shown
    assert model.key == key
    assert profile_key(build_profile(model, {"features.x": [1.0, 2.0]})).startswith(
        f"{key}/".encode()
    )
