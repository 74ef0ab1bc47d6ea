"""The detect agent: partials in, windows, alerts and warmed-up profiles out.

One task is one partition of `partials`: all models that murmur2 assigns to it. Panes close as
the source partitions' watermarks pass; what changed since the last commit is the changelog's.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from stream import schemas
from stream.adapters.monitors import check_monitor, default_monitor
from stream.agents.detect.alert import alert_output, silence_output
from stream.agents.detect.observer import DetectObserver, Figure, SilentDetectObserver
from stream.agents.detect.reading import Reading
from stream.agents.detect.record import profile_output, window_output
from stream.agents.monitors import hear_monitor
from stream.agents.profiles import hear_profile
from stream.core.catalog import Monitors, Profiles
from stream.core.pipeline import Detection
from stream.core.records import ModelKey, Output, Slice, Source
from stream.core.results import Advance, DataResult, WindowResult
from stream.core.rules import Bounds
from stream.core.score.performance import Estimate
from stream.core.signal.incident import IncidentKind
from stream.core.snapshot import Snapshot
from stream.core.specs import MonitorSpec, Severity, TimeSpec
from stream.engine.agent import Broadcast, Change, Commit

__all__ = ["DetectAgent", "DetectSettings"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """What detect needs to know of its deployment.

    Panes wait for all `partitions` of each of the `sources`. `event_source` is the CloudEvents
    attribute, the deployment's name. `monitor` applies to models without one of their own; left
    out, it is `default_monitor`. Windows are closed for about
    `closing_seconds` at a time; what is left is left to `work`. `bounds` hold for each task.
    """

    sources: tuple[str, ...]
    partitions: int
    times: TimeSpec
    event_source: str = "driftstream"
    monitor: MonitorSpec | None = None
    closing_seconds: float = math.inf
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(slots=True)
class _Task:
    detection: Detection
    snapshot: Snapshot
    started: bool = False


class DetectAgent:
    """Merges partials, closes panes, scores windows, keeps incidents (see `engine.agent.Agent`).

    Raises ConfigError where windows of the default monitor aren't whole panes.
    """

    name = "detect"
    inputs = ("partials",)
    broadcasts = ("profiles", "monitors")

    def __init__(self, settings: DetectSettings, observer: DetectObserver | None = None) -> None:
        pane_ms = settings.times.pane_ms
        default = settings.monitor or default_monitor(pane_ms)
        check_monitor(replace(default, model="default"), pane_ms)
        self.broadcast_every_ms = pane_ms
        self.rules = settings.times.lasting
        self._settings = settings
        self._observer = observer or SilentDetectObserver()
        self._profiles = Profiles()
        self._monitors = Monitors(default)
        self._schema = schemas.schema("pane_partial")
        self._tasks: dict[int, _Task] = {}
        self._active: set[int] = set()
        self._said_full = False
        self._asked: set[tuple[ModelKey, str]] = set()
        self._reading = Reading(pane_ms, self._observer)

    def assign(
        self,
        task: int,
        positions: Mapping[Source, int],  # noqa: ARG002  # the engine compares them
        state: Mapping[bytes, bytes],
    ) -> None:
        """Builds a task from its changelog; see `engine.agent.Agent.assign`."""
        settings = self._settings
        sources = [Source(t, p) for t in settings.sources for p in range(settings.partitions)]
        detection = Detection(
            sources, settings.times, self._profiles, self._monitors, settings.bounds
        )
        snapshot = Snapshot(detection, self._schema)
        snapshot.restore(state)
        self._tasks[task] = _Task(detection, snapshot)
        self._active.add(task)

    def suspend(self, task: int) -> None:
        """Keeps the task as it is."""
        self._active.discard(task)

    def resume(self, task: int) -> None:
        """Goes on; who owns which source may have changed meanwhile."""
        self._tasks[task].detection.listen_afresh()
        self._active.add(task)

    def drop(self, task: int) -> None:
        """Forgets a task."""
        self._active.discard(task)
        self._tasks.pop(task, None)
        self._reading.forget()

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        """Takes in profiles and monitors."""
        changed = False
        for record in records:
            if record.topic == "profiles":
                known = hear_profile(self._profiles, record, self._settings.times.pane_ms)
            else:
                known = hear_monitor(self._monitors, record, self._settings.times.pane_ms)
                changed = changed or known
            if not known:
                self._observer.refused(record.topic)
        if changed:
            for task in self._tasks.values():
                task.detection.reschedule()
        return ()

    def wants_broadcasts(self, slice_: Slice) -> bool:
        """Whether partials are of a new model or name an unknown profile; each is asked once."""
        asked: set[tuple[ModelKey, str]] = set()
        for number, partial in self._reading.partials(slice_, self._active):
            task = self._tasks[number]
            asked.update(
                (group.model, group.profile)
                for group in partial.groups
                if not task.detection.explains(group) or task.detection.is_new(group.model)
            )
        for number in self._active:
            asked.update(self._tasks[number].detection.unheard())
        wants = not asked <= self._asked
        self._asked = asked
        return wants

    def paused(self, now_ms: int) -> AbstractSet[Source]:  # noqa: ARG002  # the protocol's
        """None: partials are ours, there is nothing to wait for."""
        return frozenset()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        """Folds the partials and closes what can be closed."""
        told = set()
        moved = late = 0
        for number, partial in self._reading.partials(slice_, self._active):
            folded = self._started(number).detection.fold(partial)
            moved, late = moved + folded.moved, late + folded.correction_late
            self._refuse(folded.refused)
            told.add(number)
        self._reading.forget()
        if moved:
            self._observer.moved(moved)
        if late:
            self._observer.correction_late(late)
        return self._advance(told, now_ms)

    def work(self, now_ms: int) -> Sequence[Output]:
        """Goes on with the windows that closed panes left open: of many models they take long."""
        left = [number for number in self._active if not self._tasks[number].detection.settled]
        return self._advance(left, now_ms)

    def commit(
        self,
        positions: Mapping[Source, int],  # noqa: ARG002  # the engine writes them
        now_ms: int,
    ) -> Commit:
        """Closes what time alone lets close; gives what changed since the last commit."""
        tasks = {number: self._started(number) for number in sorted(self._active)}
        outputs = self._advance([n for n in tasks if tasks[n].detection.settled], now_ms)
        changes = [
            Change(number, key, value)
            for number, task in tasks.items()
            for key, value in task.snapshot.changes()
        ]
        self._count_incidents()
        return Commit(outputs, changes)

    def _refuse(self, rows: Mapping[ModelKey, int]) -> None:
        """Says once that there are more models than may be, and counts their rows."""
        if not rows:
            return
        self._observer.models_refused(sum(rows.values()))
        if not self._said_full:
            self._said_full = True
            _log.warning(
                "there are %d models with rows in one partition of partials; rows of further "
                "ones, such as %s, are in no window (raise max_models, or give partials more "
                "partitions)", self._settings.bounds.models, next(iter(rows)),
            )  # fmt: skip

    def _started(self, number: int) -> _Task:
        """The task, its restoration ended: profiles and monitors are known by now."""
        task = self._tasks[number]
        if not task.started:
            task.snapshot.resume()
            task.started = True
        return task

    def _advance(self, numbers: Collection[int], now_ms: int) -> list[Output]:
        """Closes panes and windows of tasks; what takes too long now is left to `work`."""
        until = time.monotonic() + self._settings.closing_seconds
        outputs: list[Output] = []
        for number in sorted(numbers):
            detection = self._started(number).detection
            advance = detection.advance(now_ms, lambda: time.monotonic() >= until)
            for reason in advance.refused:
                _log.warning("%s", reason)
            for result in advance.windows:
                self._tell(result)
            outputs += self._outputs(advance)
        return outputs

    def _outputs(self, advance: Advance) -> list[Output]:
        source = self._settings.event_source
        outputs = [profile_output(profile) for profile in advance.profiles]
        for result in advance.windows:
            outputs.append(window_output(result))
            outputs += (alert_output(result, signal, source) for signal in result.signals)
        outputs += (silence_output(silence, source) for silence in advance.silences)
        return outputs

    def _tell(self, result: WindowResult) -> None:
        """Metrics are of all rows; segments would be a series each."""
        if result.subject.segment:
            return
        model = result.subject.model
        if not isinstance(result, DataResult):
            told = _figures(result.metrics)
            self._observer.performance(model, told, result.coverage.share, result.delay)
            return
        self._observer.window_closed(model, bool(result.scores), result.drift_share)
        by_score: dict[str, dict[str, float]] = {}
        for scores in result.scores:
            by_score.setdefault(scores.score, {})[scores.label] = scores.scores[scores.score]
        for score, values in by_score.items():
            self._observer.feature_scores(model, score, values)
        self._observer.expected(model, _figures(result.estimated), _figures(result.serving))

    def _count_incidents(self) -> None:
        counts: Counter[tuple[IncidentKind, Severity]] = Counter()
        behind_ms = 0
        for number in self._active:
            detection = self._tasks[number].detection
            counts += detection.incidents.open()
            behind_ms = max(behind_ms, detection.labels_behind_ms())
        for kind in IncidentKind:
            for severity in Severity:
                self._observer.incidents_open(kind.value, severity, counts[kind, severity])
        self._observer.labels_behind(behind_ms)


def _figures(told: Mapping[str, Estimate]) -> dict[str, Figure]:
    return {name: (e.value, e.low, e.high) for name, e in told.items()}
