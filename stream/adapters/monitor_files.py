"""Monitor files: YAML that says what to watch about one model or many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from stream.adapters.documents import Document, Duration, checked, nearest, read_yaml
from stream.adapters.monitors import check_monitor, default_monitor
from stream.adapters.rule_documents import Labels, LabelsDocument, MetricDocument, Segment
from stream.adapters.vocabulary import Vocabulary, name_problems, reach_problems
from stream.core.errors import ConfigError
from stream.core.rules import MetricRule
from stream.core.specs import FeatureRule, MonitorSpec, Severity

__all__ = ["MonitorDocument", "RuleDocument", "read_monitors"]

_DEFAULT = MonitorSpec()
_Metrics = dict[str, MetricDocument]


class RuleDocument(Document):
    """What is different for one variable."""

    score: str | None = Field(None, description="instead of the monitor's")
    threshold: float | None = Field(None, description="instead of the monitor's")
    alert: bool = Field(False, description="this variable alone makes a window dirty")
    ignore: bool = Field(False, description="leave the variable out")


class MonitorDocument(Document):
    """One model's monitor, as people write it; the defaults are MonitorSpec's."""

    model: str = Field(min_length=1, description="the model's name")
    window: Duration | None = Field(None, description="a window's length, whole panes; else 1h")
    hop: Duration | None = Field(None, description="distance of windows' starts; else the window")
    min_rows: int = Field(_DEFAULT.min_rows, description="fewer rows are not scored, but kept")
    warmup_rows: int = Field(_DEFAULT.warmup_rows, description="rows of a profile of the stream")
    score: str = Field(_DEFAULT.score, description="the score that decides")
    threshold: float | None = Field(None, description="drifted above it; else the score's own")
    drift_share: float = Field(_DEFAULT.drift_share, description="drifted features that are dirt")
    features: dict[str, RuleDocument] = Field(default_factory=dict, description="by variable")
    open_after: int = Field(_DEFAULT.open_after, description="dirty windows that open an incident")
    open_within: int | None = Field(None, description="… among so many; else open_after")
    resolve_after: int = Field(_DEFAULT.resolve_after, description="clean windows that resolve it")
    cooldown: Duration = Field(_DEFAULT.cooldown_ms, description="none opens so long after that")
    severity: str = Field(str(_DEFAULT.severity), description="info, warning or critical")
    severity_by_share: dict[str, float] = Field(
        default_factory=dict, description="louder above these shares of drifted features"
    )
    labels: Labels = Field(
        default_factory=lambda: LabelsDocument.model_validate({}), description="or none"
    )
    segment_by: list[Segment] = Field(default_factory=list, description="what tells rows apart")
    performance: _Metrics = Field(default_factory=dict, description="thresholds on outcomes")
    estimated: _Metrics = Field(default_factory=dict, description="thresholds before labels come")
    serving: _Metrics = Field(default_factory=dict, description="latency, errors, throughput")
    fairness: _Metrics = Field(default_factory=dict, description="between protected groups")
    min_coverage: float = Field(_DEFAULT.min_coverage, description="no incident below this share")
    joined: bool = Field(_DEFAULT.joined, description="put predictions out with their labels")


def read_monitors(path: Path, known: Vocabulary, pane_ms: int) -> list[MonitorSpec]:
    """The monitors of a file: documents of one model each, a list of them, or under `monitors:`.

    `known` are the names of scores and metrics there are. Raises ConfigError with the file, the
    document and the path of each problem: an unknown key (with the nearest known), a value out
    of range or that nothing can pass, an unknown score or metric, a window that isn't whole
    panes of `pane_ms`, a model twice.
    """
    found: dict[str, str] = {}
    specs: list[MonitorSpec] = []
    problems: list[str] = []
    for place, value in _parts(path):
        try:
            spec = _spec(checked(MonitorDocument, value, place), place, pane_ms)
            _refuse_wrong(spec, place, known, pane_ms)
        except ConfigError as error:
            problems.append(str(error))
            continue
        if spec.model in found:
            problems.append(f"{place}: model {spec.model!r} was already in {found[spec.model]}")
        found[spec.model] = place
        specs.append(spec)
    if problems:
        raise ConfigError("\n".join(problems))
    if not specs:
        raise ConfigError(f"{path}: holds no monitor; write `model: NAME` and what differs")
    return specs


def _parts(path: Path) -> Iterator[tuple[str, object]]:
    documents = read_yaml(path)
    for number, document in enumerate(documents, 1):
        place = f"{path}, document {number}" if len(documents) > 1 else str(path)
        if isinstance(document, Mapping) and "monitors" in document:
            others = sorted(str(key) for key in document if key != "monitors")
            if others:
                raise ConfigError(f"{place}: {others[0]} stands beside `monitors`, not within it")
            document = document["monitors"]
        if isinstance(document, list):
            for index, item in enumerate(document, 1):
                yield f"{place}, monitor {index}", item
        else:
            yield place, document


def _spec(document: MonitorDocument, place: str, pane_ms: int) -> MonitorSpec:
    within = document.open_within
    window_ms = default_monitor(pane_ms).window_ms if document.window is None else document.window
    return MonitorSpec(
        model=document.model,
        window_ms=window_ms,
        hop_ms=window_ms if document.hop is None else document.hop,
        min_rows=document.min_rows,
        warmup_rows=document.warmup_rows,
        score=document.score,
        threshold=document.threshold,
        drift_share=document.drift_share,
        features={
            name: FeatureRule(rule.score, rule.threshold, rule.alert, rule.ignore)
            for name, rule in document.features.items()
        },
        open_after=document.open_after,
        open_within=max(document.open_after, 1) if within is None else within,
        resolve_after=document.resolve_after,
        cooldown_ms=document.cooldown,
        severity=_severity(document.severity, f"{place}, severity"),
        severity_by_share=tuple(
            sorted(
                (
                    (_severity(name, f"{place}, severity_by_share"), share)
                    for name, share in document.severity_by_share.items()
                ),
                key=lambda step: list(Severity).index(step[0]),
            )
        ),
        labels=document.labels.rule(),
        segments=tuple(each.rule() for each in document.segment_by),
        performance=_rules(document.performance),
        estimated=_rules(document.estimated),
        serving=_rules(document.serving),
        fairness=_rules(document.fairness),
        min_coverage=document.min_coverage,
        joined=document.joined,
    )


def _rules(documents: _Metrics) -> dict[str, MetricRule]:
    return {name: each.rule() for name, each in documents.items()}


def _severity(name: str, place: str) -> Severity:
    try:
        return Severity(name)
    except ValueError:
        known = [str(severity) for severity in Severity]
        raise ConfigError(f"{place}: no severity {name!r}; {nearest(name, known)}") from None


def _refuse_wrong(spec: MonitorSpec, place: str, known: Vocabulary, pane_ms: int) -> None:
    problems = [f"{place}, {problem}" for problem in name_problems(spec, known)]
    if not problems:
        problems = [f"{place}: {problem}" for problem in reach_problems(spec)]
    try:
        check_monitor(spec, pane_ms)
    except ConfigError as error:
        problems.append(f"{place}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
