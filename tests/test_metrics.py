"""Metrics: names and units that promtool accepts, bounded series, zeros from the start."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stream.adapters.metrics import Metrics
from stream.core.errors import Reason
from stream.core.records import ModelKey
from tests.metrics_page import CREDIT, filled, text_of


def test_known_series_start_at_zero() -> None:
    text = text_of(Metrics())
    for reason in Reason:
        assert f'driftstream_rows_rejected_total{{reason="{reason.value}"}} 0.0' in text
    assert 'driftstream_windows_closed_total{scored="true"} 0.0' in text
    assert 'driftstream_commit_seconds_count{agent="observe"} 0.0' in text
    assert 'driftstream_incidents_open{kind="drift",severity="critical"} 0.0' in text
    assert "process_resident_memory_bytes" in text


def test_values_are_told() -> None:
    text = text_of(filled())
    for line in (
        'driftstream_records_consumed_total{agent="observe",topic="predictions"} 5.0',
        'driftstream_lag_records{agent="observe",topic="predictions"} 7.0',
        'driftstream_rows_rejected_total{reason="bad_id"} 2.0',
        "driftstream_late_rows_total 1.0",
        'driftstream_watermark_timestamp_seconds{topic="predictions"} 90.0',
        'driftstream_watermark_age_seconds{topic="predictions"} 10.0',
        'driftstream_drift_share_ratio{model="credit",version="3"} 0.25',
        'driftstream_agent_ready{agent="observe"} 1.0',
        'driftstream_label_delay_seconds{model="credit",percentile="p99",version="3"} 90.0',
    ):
        assert line in text


def test_only_the_highest_features_have_series_and_old_ones_go() -> None:
    metrics = Metrics(top_features=2)
    metrics.detect.window_closed(CREDIT, scored=True, drift_share=0.1)
    metrics.detect.feature_scores(CREDIT, "psi", {"a": 0.1, "b": 0.5, "c": 0.3})
    assert 'feature="a"' not in text_of(metrics)
    metrics.detect.feature_scores(CREDIT, "psi", {"a": 0.9, "b": 0.5, "c": 0.3})
    text = text_of(metrics)
    assert 'feature="a"' in text
    assert 'feature="c"' not in text


def test_a_score_that_decides_no_more_loses_its_series() -> None:
    metrics = Metrics()
    for score in ("psi", "js", "js"):
        metrics.detect.window_closed(CREDIT, scored=True, drift_share=0.1)
        metrics.detect.feature_scores(CREDIT, score, {"a": 0.1})
    text = text_of(metrics)
    assert 'score="js"' in text
    assert 'score="psi"' not in text


def test_models_with_series_are_bounded() -> None:
    metrics = Metrics(models=3)
    for number in range(10):
        metrics.detect.window_closed(ModelKey(f"m{number}", ""), scored=True, drift_share=0.0)
    text = text_of(metrics)
    assert text.count("driftstream_drift_share_ratio{") == 3
    assert "driftstream_models_without_series_total 7.0" in text
    assert 'driftstream_windows_closed_total{scored="true"} 10.0' in text


def test_two_metrics_may_live_in_one_process() -> None:
    assert Metrics().registry is not Metrics().registry


def test_something_of_every_kind_is_on_the_page() -> None:
    """What follows would find no fault in a metric without series."""
    text = text_of(filled())
    families = re.findall(r"^# TYPE (driftstream_\w+)", text, re.MULTILINE)
    empty = [n for n in families if not re.search(rf"^{n}(_count)?[ {{]", text, re.MULTILINE)]
    assert empty == []


def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    text = text_of(filled())
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    ours = [line for line in checked.stderr.splitlines() if "driftstream" in line]
    assert (ours, checked.stdout) == ([], "")
    assert checked.returncode in {0, 3} or not ours


def test_every_metric_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text()
    told = re.findall(r"^# TYPE (driftstream_\w+)", text_of(filled()), re.MULTILINE)
    assert told
    assert [name for name in told if f"`{name}`" not in page] == []
