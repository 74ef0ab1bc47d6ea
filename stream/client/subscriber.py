"""Following the alerts: by iterator or callback, for oneself or in a consumer group."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import Message

from stream.client.alert import Alert, decode_alert
from stream.client.feed import Feed
from stream.client.options import KafkaValue, connection, topic_name
from stream.client.seen import Seen
from stream.core.errors import ConfigError, DriftstreamError
from stream.core.specs import Severity

__all__ = ["AlertCounters", "AlertSubscriber"]

_TOPIC = "alerts"
_SLICE_SECONDS = 0.5  # how soon `stop` is noticed
_STATES = ("opened", "updated", "resolved")
_SEVERITIES = list(Severity)


class AlertCounters(NamedTuple):
    """What became of the records read."""

    handled: int
    filtered: int
    duplicates: int
    skipped: int


class AlertSubscriber:
    """Reads the `alerts` topic, committed transactions only, each alert once.

    Without `group` it tails: every subscriber gets every alert, from its first `poll` (or
    `connect`) on, or all there are with `from_beginning`. With `group` the subscribers of a group
    share the alerts, and go on where the group left off: **at least once**, because an alert is
    committed after it was handled, that is when the next one is asked for or the callback has
    returned. A new group starts at the end, or at the beginning with `from_beginning`;
    partitions that are added later are read from their beginning.

    `models`, `states` ("opened", "updated", "resolved") and `severity` (at least) choose among
    the alerts. Records that are no alerts are logged, counted and skipped; so are repeated events
    (the same CloudEvents source and id among the last 10,000). A broker that is away is waited
    for.

    `bootstrap_servers` and `topic_prefix` default as PredictionLogger's; `kafka` holds librdkafka
    properties. One thread uses a subscriber; `stop` may be called from any.

    Raises ConfigError, naming the setting, where one is wrong.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str | None = None,
        topic_prefix: str | None = None,
        group: str | None = None,
        from_beginning: bool = False,
        models: Collection[str] | None = None,
        states: Collection[str] | None = None,
        severity: Severity | str = Severity.INFO,
        kafka: Mapping[str, KafkaValue] | None = None,
    ) -> None:
        self._models = _checked_names("models", models)
        self._states = _checked_names("states", states)
        unknown = (self._states or frozenset()).difference(_STATES)
        if unknown:
            raise ConfigError(f"states: {', '.join(sorted(unknown))}: wants {', '.join(_STATES)}")
        if severity not in _SEVERITIES:
            raise ConfigError(f"severity: is {severity!r}, wants {', '.join(_SEVERITIES)}")
        self._least = _SEVERITIES.index(Severity(severity))
        self._feed = Feed(
            topic_name(_TOPIC, topic_prefix),
            connection(bootstrap_servers, kafka),
            group,
            from_beginning=from_beginning,
        )
        self._seen = Seen()
        self._stopped = threading.Event()
        self._handlers: dict[int, Any] = {}  # those that `stop_on_signals` has replaced
        self._open: Alert | None = None  # given out, and not known to be handled
        self._handled = self._filtered = self._duplicates = self._skipped = 0

    @property
    def counters(self) -> AlertCounters:
        """How many alerts were handled, filtered out or repeated, and records skipped."""
        return AlertCounters(self._handled, self._filtered, self._duplicates, self._skipped)

    def connect(self, timeout: float = 10.0) -> bool:
        """True as soon as it is known where reading begins, False after `timeout` seconds.

        Without it the first `poll` does this. What is written after it has returned True is read.
        """
        limit = time.monotonic() + timeout
        while not self._stopped.is_set():
            left = limit - time.monotonic()
            if self._feed.connect(max(0.0, min(left, _SLICE_SECONDS))):
                return True
            if left <= 0:
                break
        return False

    def poll(self, timeout: float | None = None) -> Alert | None:
        """The next alert; None after `timeout` seconds without one, or once stopped.

        Asking for the next alert says that the one before was handled.
        """
        self._commit()
        limit = None if timeout is None else time.monotonic() + timeout
        while not self._stopped.is_set():
            left = _SLICE_SECONDS if limit is None else limit - time.monotonic()
            message = self._feed.next(max(0.0, min(left, _SLICE_SECONDS)))
            alert = None if message is None else self._admit(message)
            if alert is not None:
                self._open = alert
                return alert
            if left <= 0:
                return None
        return None

    def alerts(self, timeout: float | None = None) -> Iterator[Alert]:
        """Alerts as they come, until stopped or none came for `timeout` seconds.

        Leaving the loop early leaves the alert in hand unhandled: it comes again.
        """
        try:
            while (alert := self.poll(timeout)) is not None:
                yield alert
        finally:
            self._put_back()

    def __iter__(self) -> Iterator[Alert]:
        return self.alerts()

    def run(self, callback: Callable[[Alert], object], timeout: float | None = None) -> None:
        """Calls back with each alert until stopped, or until none came for `timeout` seconds.

        What the callback raises ends `run`; that alert is not handled and comes again.
        """
        try:
            while (alert := self.poll(timeout)) is not None:
                callback(alert)
                self._commit()
        finally:
            self._put_back()

    def stop(self) -> None:
        """Ends `run`, `poll` and iteration within half a second; any thread may call it."""
        self._stopped.set()

    def stop_on_signals(self) -> None:
        """Lets Ctrl-C and SIGTERM end `run`, `poll` and iteration as `stop` does.

        The alert in hand is handled to its end; a second signal acts as it did before. To be
        called from the main thread; `close` puts things back.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers.setdefault(number, signal.signal(number, self._heard_signal))

    def close(self) -> None:
        """Leaves the group. An alert that nobody has said to be handled comes again."""
        self.stop()
        self._restore_signals()
        self._feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _heard_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()
        self._restore_signals()

    def _restore_signals(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _admit(self, message: Message) -> Alert | None:
        """The alert of a record that is to be given out; others are counted and done with."""
        partition, offset = message.partition() or 0, message.offset() or 0
        value = message.value()
        alert = None
        if value is not None:  # else a tombstone of the compacted topic
            try:
                alert = decode_alert(_headers(message), value, partition, offset)
            except DriftstreamError as misfit:
                self._skipped += 1
                self._feed.warn("skipped", f"partition {partition} offset {offset}: {misfit}")
        if alert is not None and not self._is_wanted(alert):
            self._filtered += 1
            alert = None
        if alert is not None and not self._seen.add((alert.source, alert.id)):
            self._duplicates += 1
            alert = None
        if alert is None:
            self._feed.done(partition, offset)
        return alert

    def _is_wanted(self, alert: Alert) -> bool:
        if self._models is not None and alert.model not in self._models:
            return False
        if self._states is not None and alert.state not in self._states:
            return False
        return _SEVERITIES.index(alert.severity) >= self._least

    def _commit(self) -> None:
        if self._open is not None:
            self._handled += 1
            self._feed.done(self._open.partition, self._open.offset)
            self._open = None
        self._feed.commit()

    def _put_back(self) -> None:
        alert, self._open = self._open, None
        if alert is not None:
            self._seen.discard((alert.source, alert.id))
            self._feed.rewind(alert.partition, alert.offset)


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    # Where a name is no UTF-8 the client sets an error and returns what nobody may look at; a call
    # by `map` is always checked for that, a hot plain one is not.
    try:
        (headers,) = map(Message.headers, (message,))
    except (SystemError, UnicodeDecodeError):
        return []  # no event of ours
    return list(headers or ())  # type: ignore[arg-type]  # read as bytes


def _checked_names(name: str, given: Collection[str] | None) -> frozenset[str] | None:
    if given is None:
        return None
    if isinstance(given, str):
        raise ConfigError(f'{name}: is the text {given!r}, wants a list: ["{given}"]')
    return frozenset(given)
