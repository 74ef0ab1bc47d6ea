"""The alert rules for Prometheus: valid, tested, and about metrics that this project exports."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics_page import filled, text_of

ROOT = Path(__file__).parents[1]
RULES = ROOT / "k8s" / "prometheus-rules.yml"
TESTS = ROOT / "tests" / "prometheus_rules_test.yml"
_SELECTOR = re.compile(r"\b(driftstream_\w+)(?:\{([^}]*)\})?")


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    command = [promtool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_promtool_accepts_the_rules() -> None:
    checked = _promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_is_to_and_not_below() -> None:
    tested = _promtool("test", "rules", str(TESTS))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_no_alert_is_left_out_of_these_tests() -> None:
    told = yaml.safe_load(TESTS.read_text(encoding="utf-8"))
    wanted = [
        sample["labels"]
        for test in told["tests"]
        for each in test["promql_expr_test"]
        for sample in each["exp_samples"]
    ]
    fired = {name for labels in wanted for name in re.findall(r'alertname="(\w+)"', labels)}
    assert fired == {rule["alert"] for rule in _rules()}


def test_rules_are_about_series_that_a_worker_exports() -> None:
    exported: dict[str, list[str]] = {}
    for line in text_of(filled()).splitlines():
        series = re.match(r"(driftstream_\w+)(?:\{(.*)\})? ", line)
        if series is not None:
            exported.setdefault(series[1], []).append(series[2] or "")
    for rule in _rules():
        selectors = _SELECTOR.findall(rule["expr"])
        assert selectors, rule["alert"]
        for name, matchers in selectors:
            assert name in exported, f"{rule['alert']}: no metric is called {name}"
            assert any(
                set(filter(None, matchers.split(","))) <= set(labels.split(","))
                for labels in exported[name]
            ), f"{rule['alert']}: no series {name}{{{matchers}}}"


def test_each_alert_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in _rules()]
    assert len(set(names)) == len(names)
    for rule in _rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert len(rule["annotations"]["description"]) > 60, rule["alert"]


def test_the_page_on_metrics_names_every_alert() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert "k8s/prometheus-rules.yml" in page
    assert [r["alert"] for r in _rules() if f"`{r['alert']}`" not in page] == []
