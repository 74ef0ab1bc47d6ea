"""The demo's course: a worker starts, rows and later labels are sent, what is found is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from stream import cloudevents, schemas
from stream.adapters.kafka.compacted import publish
from stream.adapters.kafka.headers import headers_of
from stream.adapters.kafka.topics import ensure_topics
from stream.adapters.monitors import encode_monitors
from stream.cli.demo.late_labels import LateLabels
from stream.cli.demo.scene import Scene
from stream.cli.demo.screen import Screen
from stream.cli.demo.traffic import Traffic
from stream.cli.monitor_warnings import warnings
from stream.cli.profile_warnings import profile_warnings
from stream.cli.reading import connection
from stream.cli.rows import log_chunk
from stream.client import LabelLogger, PredictionLogger
from stream.core.baseline import with_metrics
from stream.core.errors import BrokerError
from stream.core.labels import LabelKind
from stream.core.pane.reference import LabelColumn, build_profile, profile_key, profile_to_record
from stream.core.records import Header
from stream.core.rules import MetricRule
from stream.core.specs import MonitorSpec, Profile, Severity
from stream.settings import Settings
from stream.topics import real_name
from stream.worker import Worker, topics_of

__all__ = ["Plan", "play"]

_RAMP_SECONDS = 4.0
_MOVED = 0.7  # the share of rows that are of the changed kind in the end
_TURN_SECONDS = 0.05
_READY_SECONDS = 45.0
_SOONEST, _LATEST = 3.0, 8.0  # seconds after its prediction that a label comes
_MAX_DROP = 0.05  # of accuracy against the reference's: more is harm
_MAX_RISE = 0.2  # of the mean absolute error, as a share of the reference's


@dataclass(frozen=True, slots=True)
class Plan:
    """How it goes. The change begins after `calm` seconds; it is waited for until `give_up`.

    It is found when there is an incident of drift, and one of performance where there are
    labels. `linger` is how long the example goes on then, so that one more window shows the whole
    of it; `grace` how long the last windows of a table are waited for.
    """

    rate: float
    window_ms: int
    calm: float
    give_up: float
    keep_running: bool = False
    linger: float = 6.0
    grace: float = 20.0


def play(
    settings: Settings, traffic: Traffic, plan: Plan, screen: Screen, broker: str, *, embedded: bool
) -> Scene:
    """Plays the demo to its end and returns what was seen.

    Raises what ended the worker, or BrokerError where it doesn't get ready.
    """
    profile = _profile(traffic)
    monitor = _monitor(profile, plan.window_ms)
    scene = Scene(profile, broker, traffic.story, traffic.total)
    screen.show(scene)
    for line in (*profile_warnings(profile), *warnings(monitor, [profile])):
        screen.remark(f"warning: {line}")
    partitions = _prepare(settings, profile, monitor, embedded=embedded)
    worker = Worker(settings, embedded=embedded, endpoints=plan.keep_running)
    worker.start()
    try:
        _until_ready(worker)
        if plan.keep_running:
            scene.broker += f"   metrics: {worker.address}/metrics"
        with ExitStack() as stack:
            consumer = stack.enter_context(_follow(settings, partitions))
            shared = _logging(settings)
            model, version = traffic.model
            logger = PredictionLogger(model=model, version=version, **shared)
            labels = None
            if profile.outcome is not None:
                told = stack.enter_context(LabelLogger(**shared))
                labels = LateLabels(told, _SOONEST, _LATEST)
            stack.enter_context(logger)
            _Course(traffic, plan, screen, scene, worker, consumer, logger, labels).run()
    finally:
        worker.stop()
    return scene


class _Course:
    """The loop, ten to twenty turns a second: send what is due, read what is new, show it."""

    def __init__(
        self,
        traffic: Traffic,
        plan: Plan,
        screen: Screen,
        scene: Scene,
        worker: Worker,
        consumer: Consumer,
        logger: PredictionLogger,
        labels: LateLabels | None,
    ) -> None:
        self._traffic = traffic
        self._plan = plan
        self._screen = screen
        self._scene = scene
        self._worker = worker
        self._consumer = consumer
        self._logger = logger
        self._labels = labels
        self._began = time.monotonic()
        self._sent = 0
        self._ended_at: float | None = None

    def run(self) -> None:
        """Until the end; until Ctrl-C where it is to keep running."""
        try:
            while not self._over() or self._plan.keep_running:
                self._turn()
        except KeyboardInterrupt:
            if not self._plan.keep_running:
                raise

    def _turn(self) -> None:
        if self._worker.error is not None:
            raise self._worker.error
        self._send(time.monotonic() - self._began)
        for message in self._consumer.consume(100, _TURN_SECONDS):
            if message.error() is None:
                self._hear(message.value() or b"", headers_of(message))
        self._screen.show(self._scene)

    def _send(self, seconds: float) -> None:
        plan, scene = self._plan, self._scene
        moved = 0.0
        if seconds >= plan.calm and self._traffic.total is None:
            moved = _MOVED * min(1.0, (seconds - plan.calm) / _RAMP_SECONDS)
            scene.changed_at = plan.calm
        due = int(seconds * plan.rate) - self._sent
        rows = self._traffic.take(due, moved) if due > 0 else None
        if rows is not None:
            ids = log_chunk(self._logger, rows.chunk)
            self._sent += len(rows)
            if self._labels is not None and rows.labels is not None:
                self._labels.hold(ids, rows.labels, seconds)
        elif due > 0 and self._ended_at is None:
            self._ended_at = seconds
        if self._labels is not None:
            self._labels.send_due(seconds)
        scene.tick(seconds, self._sent)

    def _hear(self, value: bytes, headers: Sequence[Header]) -> None:
        if any(name == "ce_type" for name, _ in headers):
            self._scene.hear_alert(cloudevents.decode(list(headers), value).json())
        else:
            self._scene.hear_window(orjson.loads(value))

    def _over(self) -> bool:
        scene, plan = self._scene, self._plan
        labels = self._labels
        if self._traffic.total is None:
            found = [scene.found_at, *([] if labels is None else [scene.harmed_at])]
            times = [at for at in found if at is not None]
            done = len(times) == len(found) and scene.seconds > max(times) + plan.linger
            return done or scene.seconds > plan.give_up
        if self._ended_at is None:
            return False
        late = 0.0 if labels is None else _LATEST
        told = labels is None or (not labels and scene.outcomes >= labels.sent)
        done = told and scene.counted >= self._sent
        return done or scene.seconds > self._ended_at + late + plan.grace


def _profile(traffic: Traffic) -> Profile:
    """The reference profile, with what its labels say where there are some and predictions too."""
    columns, labels = traffic.reference.chunk.columns(), traffic.reference.labels
    if labels is None or "prediction" not in columns:
        return build_profile(traffic.model, columns)
    label = LabelColumn(labels, positive=traffic.positive)
    return with_metrics(build_profile(traffic.model, columns, label=label), columns, labels)


def _harm(profile: Profile) -> dict[str, MetricRule]:
    """When the model is worse than on its reference: nothing where the reference has no labels."""
    if profile.outcome is None:
        return {}
    if profile.outcome.kind != LabelKind.REGRESSION:
        return {"accuracy": MetricRule(max_drop=_MAX_DROP)}
    error = dict(profile.outcome.metrics).get("mae", 0.0)
    return {"mae": MetricRule(max_rise=_MAX_RISE * error)}


def _monitor(profile: Profile, window_ms: int) -> MonitorSpec:
    """What is watched: drift in windows of this length, and harm."""
    return MonitorSpec(
        model=profile.model.model,
        window_ms=window_ms,
        hop_ms=window_ms,
        min_rows=200,
        severity=Severity.WARNING,
        performance=_harm(profile),
    )


def _prepare(
    settings: Settings, profile: Profile, monitor: MonitorSpec, *, embedded: bool
) -> dict[str, int]:
    """Topics, the reference profile and its monitor; the topics' numbers of partitions."""
    ensured = ensure_topics(
        settings.client_config(),
        settings.topic_prefix,
        source_partitions=settings.partitions,
        topics=topics_of(settings),
        embedded=embedded,
    )
    own = connection(settings, "demo")
    record = schemas.encode_json("reference_profile", profile_to_record(profile))
    name = real_name(settings.topic_prefix, "profiles")
    publish(own, name, {profile_key(profile): record})
    name = real_name(settings.topic_prefix, "monitors")
    publish(own, name, {monitor.model.encode(): encode_monitors((monitor,))})
    return dict(ensured.partitions)


def _until_ready(worker: Worker) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while worker.unready():
        if worker.error is not None:
            raise worker.error
        if time.monotonic() > deadline:
            raise BrokerError(f"the worker is not ready: {'; '.join(worker.unready())}")
        time.sleep(_TURN_SECONDS)


@contextmanager
def _follow(settings: Settings, partitions: dict[str, int]) -> Iterator[Consumer]:
    """A consumer of all windows and alerts."""
    consumer = connection(settings, "demo").reader()
    consumer.assign(
        [
            TopicPartition(real_name(settings.topic_prefix, topic), number, OFFSET_BEGINNING)
            for topic in ("windows", "alerts")
            for number in range(partitions[topic])
        ]
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _logging(settings: Settings) -> dict[str, Any]:
    """What both loggers are told."""
    kafka = settings.client_config()
    return {
        "bootstrap_servers": kafka.pop("bootstrap.servers"),
        "topic_prefix": settings.topic_prefix,
        "on_full": "block",
        "kafka": kafka,
    }
