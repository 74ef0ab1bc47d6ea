"""librdkafka's log and errors in Python's logging, under `stream.kafka`, each kind now and then.

A broker that has gone away makes librdkafka log a line every 50 ms for each client. A line's
kind is its facility (`FAIL`, `ERROR`, ...), so a kind is let through once in some seconds, and
says how many like it were held back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

from stream.access import is_refused
from stream.adapters.kafka.codes import AWAY, END

__all__ = ["ClientErrors", "Throttle", "kafka_logger"]

_EVERY_SECONDS = 10.0
_NAME = "stream.kafka"


class Throttle(logging.Filter):
    """Lets one record of a kind through in `seconds`; the next one tells how many it held back.

    A record's kind is its first argument where there is one (librdkafka's facility), else its
    message. At most `kinds` are remembered; beyond that all are forgotten and begin anew.
    """

    def __init__(
        self,
        seconds: float = _EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        kinds: int = 256,
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._kinds = kinds
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record that is held back."""
        args = record.args
        kind = str(args[0]) if isinstance(args, tuple) and args else str(record.msg)
        now = self._clock()
        with self._lock:
            if len(self._heard) > self._kinds:
                self._heard.clear()
            last, held = self._heard.get(kind, (now - self._seconds, 0))
            if now - last < self._seconds:
                self._heard[kind] = (last, held + 1)
                return False
            self._heard[kind] = (now, 0)
        if held:
            record.msg = f"{record.getMessage()} ({held} more of this kind held back)"
            record.args = ()
        return True


class ClientErrors:
    """An `error_cb` that logs errors in words and remembers whether the brokers are away.

    It speaks through `log`, our clients' own logger unless told otherwise. `breaks` counts the
    connections that broke. `refused` is the last refusal of credentials or certificates.
    """

    def __init__(self) -> None:
        self.away = False
        self.breaks = 0
        self.refused: KafkaError | None = None
        self.log = kafka_logger()

    def __call__(self, error: KafkaError) -> None:
        """Takes one client-level error in; never raises."""
        code = error.code()
        if code in AWAY:
            self.away = True
            self.breaks += 1
        if is_refused(code):
            self.away = True
            self.refused = error
            self.log.error(
                "%s: Kafka refused the connection: %s. Check security.protocol, the SASL "
                "mechanism, user and password, and the CA certificate in the kafka settings",
                error.name(),
                error.str(),
            )
        elif code == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # public, in spite of its name
            self.log.warning("%s: no broker can be reached", error.name())
        elif code != END:
            self.log.warning("%s: %s", error.name(), error.str())


def kafka_logger() -> logging.Logger:
    """The logger to hand to every librdkafka client, throttled."""
    logger = logging.getLogger(_NAME)
    if not any(isinstance(known, Throttle) for known in logger.filters):
        logger.addFilter(Throttle())
    return logger
