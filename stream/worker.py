"""A worker: agents on their engines, each in a thread, with topics, metrics and endpoints.

A worker ends when it is told to (SIGTERM, SIGINT), or when one of its agents fails in a way that
only a person or a new process can mend; a broker that is away is waited for.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType

from stream.adapters.kafka.topics import Ensured, ensure_topics
from stream.adapters.metrics import Metrics
from stream.adapters.monitors import default_monitor
from stream.adapters.registry import RegistryClient
from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.errors import (
    BrokerError,
    ConfigError,
    CredentialsError,
    DriftstreamError,
    FatalBrokerError,
)
from stream.engine.runner import Runner
from stream.engine.settings import EngineSettings
from stream.settings import Settings
from stream.topics import TOPICS, Topic, changelog
from stream.web.endpoints import Endpoints

__all__ = ["AGENTS", "Worker", "agent_for_reset", "engine_settings", "run_worker", "topics_of"]

AGENTS = ("observe", "detect")

_LOG = logging.getLogger("stream.worker")
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_ASK_SECONDS = 5.0  # less than a stopping worker has
_AGAIN_SECONDS = 2.0
_REFUSED_SECONDS = 8.0  # a broker that has just started may not know its users yet


class Worker:
    """Runs the agents named in `agents` between `start` and `stop`.

    `embedded` says that the broker is librdkafka's mock cluster. `endpoints` False leaves the
    HTTP server out. `start` returns at once; what fails later is in `error`, and `ended` is set.
    """

    def __init__(
        self,
        settings: Settings,
        agents: Sequence[str] = AGENTS,
        *,
        embedded: bool = False,
        endpoints: bool = True,
    ) -> None:
        unknown = sorted(set(agents) - set(AGENTS))
        if unknown or not agents:
            raise ConfigError(
                f"agents: {', '.join(unknown) or 'none'}: name some of {', '.join(AGENTS)}"
            )
        self._settings = settings
        self._agents = tuple(agents)
        self._engine = engine_settings(settings, embedded=embedded)
        self.metrics = Metrics(
            agents=agents,
            models=settings.metrics_models,
            top_features=settings.metrics_top_features,
        )
        self._endpoints: Endpoints | None = None
        if endpoints:
            self._endpoints = Endpoints(
                self.metrics.registry, self, settings.http_host, settings.http_port
            )
        self._observe: ObserveAgent | None = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.ended = threading.Event()
        self.error: Exception | None = None

    @property
    def address(self) -> str:
        """The base URL of the HTTP endpoints; empty without them."""
        return self._endpoints.address if self._endpoints else ""

    def start(self) -> None:
        """Listens, and starts the threads; ConfigError where the port cannot be had."""
        if self._endpoints is not None:
            self._endpoints.start()
            _LOG.info("metrics, /livez and /readyz at %s", self.address)
        _LOG.debug("settings: %s", self._settings.describe())
        self._spawn("start", self._begin)

    def stop(self) -> None:
        """Lets the agents commit and leave their groups, for at most ten seconds."""
        self._stop.set()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:  # which `start` may still add to
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive() and self.error is None:
                self.error = FatalBrokerError(f"{thread.name} did not end in time; it was left")
        if self._endpoints is not None:
            self._endpoints.stop()

    def dead(self) -> Sequence[str]:
        """Why the process should be started again: an agent that ended with an error."""
        return [f"{type(self.error).__name__}: {self.error}"] if self.error else []

    def unready(self) -> Sequence[str]:
        """Which agents aren't ready, and which partitions are not read."""
        reasons = [
            f"{agent}: not ready (starting, restoring, or Kafka is away)"
            for agent in self._agents
            if not self.metrics.engine.is_ready(agent)
        ]
        if self._observe is not None:
            reasons += [
                f"{topic}/{partition}: paused, too many of its records are invalid"
                for topic, partition in sorted(self._observe.stopped)
            ]
        return reasons

    def _spawn(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guarded, args=(body,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, body: Callable[[], None]) -> None:
        try:
            body()
        except DriftstreamError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # a thread ends here: kept, logged, raised again
            _LOG.exception("%s ended", threading.current_thread().name)
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error = self.error or error
        self._stop.set()
        self.ended.set()

    def _begin(self) -> None:
        """Makes the topics, waiting for a broker as long as it takes, and starts the engines."""
        ensured = self._topics()
        if ensured is None:
            return
        for name in self._agents:
            runner = self._runner(name, ensured.partitions)
            self._spawn(name, partial(runner.run, self._stop))
            _LOG.info("%s started", name)

    def _topics(self) -> Ensured | None:
        settings, refused = self._settings, 0.0
        while not self._stop.is_set():
            try:
                ensured = ensure_topics(
                    settings.client_config(),
                    settings.topic_prefix,
                    source_partitions=settings.partitions,
                    partials_partitions=settings.partials_partitions,
                    replication=settings.replication,
                    topics=topics_of(settings),
                    embedded=self._engine.embedded,
                    timeout_s=_ASK_SECONDS,
                )
            except BrokerError as error:
                if isinstance(error, CredentialsError):
                    refused = refused or time.monotonic()
                    if time.monotonic() - refused > _REFUSED_SECONDS:
                        raise  # a new process reads the password and the certificate anew
                _LOG.warning("waiting for Kafka: %s", error)
                self._stop.wait(_AGAIN_SECONDS)
                continue
            for warning in ensured.warnings:
                _LOG.warning("%s", warning)
            if ensured.created:
                _LOG.info("created %s", ", ".join(ensured.created))
            return ensured
        return None

    def _runner(self, name: str, partitions: Mapping[str, int]) -> Runner:
        if name == "observe":
            self._observe = _observe(self._settings, partitions, self.metrics)
            return Runner(self._observe, self._engine, self.metrics.engine)
        detect = _detect(self._settings, partitions, self.metrics)
        return Runner(detect, replace(self._engine, start_from="earliest"), self.metrics.engine)


def run_worker(
    settings: Settings, agents: Sequence[str] = AGENTS, *, embedded: bool = False
) -> None:
    """Runs a worker until SIGTERM or SIGINT; raises what ended it otherwise.

    To be called from the main thread. A second signal ends the process at once.
    """
    worker = Worker(settings, agents, embedded=embedded)
    with _told_to_stop() as told:
        worker.start()
        try:
            while not told.is_set() and not worker.ended.wait(_LOOK_SECONDS):
                pass
        finally:
            worker.stop()
    if worker.error is not None:
        raise worker.error
    _LOG.info("stopped")


def engine_settings(settings: Settings, *, embedded: bool = False) -> EngineSettings:
    """The engine's part of the settings."""
    kafka = settings.client_config()
    return EngineSettings(
        bootstrap_servers=kafka.pop("bootstrap.servers"),
        prefix=settings.topic_prefix,
        commit_interval_ms=settings.commit_interval,
        slice_records=settings.slice_records,
        slice_bytes=settings.slice_bytes,
        transaction_timeout_ms=settings.transaction_timeout,
        session_timeout_ms=settings.session_timeout,
        instance_id=settings.instance_id,
        start_from=settings.start_from,
        embedded=embedded,
        kafka=kafka,
    )


def topics_of(settings: Settings) -> tuple[Topic, ...]:
    """Every topic that a deployment has, the agents' changelogs included."""
    return (*TOPICS, changelog("observe", settings.sources), changelog("detect", ("partials",)))


def _observe(settings: Settings, partitions: Mapping[str, int], metrics: Metrics) -> ObserveAgent:
    registry = None
    if settings.registry_url:
        password = settings.registry_password.get_secret_value()
        registry = RegistryClient(
            settings.registry_url, user=settings.registry_user, password=password
        )
    observe = ObserveSettings(
        sources=settings.sources,
        partitions=partitions[settings.sources[0]],
        partials_partitions=partitions["partials"],
        times=settings.time,
        limits=DecodeLimits(
            max_features=settings.max_features,
            max_record_bytes=settings.max_record_bytes,
            max_clock_skew_ms=settings.max_clock_skew,
        ),
        max_invalid_share=settings.max_invalid_share,
        max_pending=settings.max_pending,
        max_waiting=settings.max_waiting,
        monitor=default_monitor(settings.pane),
    )
    return ObserveAgent(observe, registry, metrics.observe)


def _detect(settings: Settings, partitions: Mapping[str, int], metrics: Metrics) -> DetectAgent:
    detect = DetectSettings(
        sources=settings.sources,
        partitions=partitions[settings.sources[0]],
        times=settings.time,
        event_source=settings.topic_prefix.rstrip("._-") or "driftstream",
        closing_seconds=0.25,  # of windows at a time: commits come between
        bounds=settings.bounds,
    )
    return DetectAgent(detect, metrics.detect)


def agent_for_reset(settings: Settings, name: str) -> ObserveAgent | DetectAgent:
    """An agent whose topics are looked at, and that is never run."""
    partitions = dict.fromkeys((*settings.sources, "partials"), 1)
    make = _observe if name == "observe" else _detect
    return make(settings, partitions, Metrics())


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets within the block."""
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
