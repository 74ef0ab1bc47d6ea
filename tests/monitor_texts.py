"""Files of monitors, and the words that they may use: those of a small vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.adapters.monitor_files import read_monitors
from stream.adapters.vocabulary import Vocabulary
from stream.core.errors import ConfigError

__all__ = ["KNOWN", "MINUTE", "problem", "written"]

MINUTE = 60_000
KNOWN = Vocabulary(
    scores=("psi", "ks", "js", "unseen_ratio"),
    of_classes=("f1",),
    performance={
        "accuracy": ("binary", "multiclass"),
        "f1": ("binary",),
        "rmse": ("regression",),
    },
    estimated=("accuracy", "roc_auc"),
    serving=("latency_p99", "error_share"),
    fairness=("tpr_difference",),
)


def written(tmp_path: Path, text: str) -> Path:
    """The text as a file."""
    path = tmp_path / "monitors.yaml"
    path.write_text(text)
    return path


def problem(tmp_path: Path, text: str) -> str:
    """What a file of this text is refused with, its folder left out."""
    with pytest.raises(ConfigError) as refused:
        read_monitors(written(tmp_path, text), KNOWN, MINUTE)
    return str(refused.value).replace(str(tmp_path) + "/", "")
