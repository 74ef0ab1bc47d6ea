"""`driftstream dev kafka`: a Kafka in the foreground for whoever develops against one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from stream.adapters.kafka.local import LocalKafka
from stream.core.errors import BrokerError

__all__ = ["run_dev_kafka"]

_LOOK_SECONDS = 1.0


def run_dev_kafka(
    brokers: int = 1,
    *,
    port: int = 0,
    data: Path | None = None,
    existing: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Runs 1 or 3 brokers until Ctrl-C or SIGTERM, having said where they are.

    `existing` is what KAFKA_BOOTSTRAP_SERVERS says: nothing is started then. `port` is the
    first broker's, 0 any free one. `data` is a folder to keep and to start from again; None
    is a temporary one, removed at the end. Call it from the main thread.

    Raises KafkaUnavailableError where no Kafka can be started here, BrokerError where it
    doesn't get ready, or a broker ends by itself.
    """
    if existing:
        say(f"KAFKA_BOOTSTRAP_SERVERS is set to {existing}: nothing to start")
        say("unset it to have a Kafka started here")
        return
    with _until_signal() as ended, LocalKafka(brokers, port=port, data=data) as kafka:
        count = "1 broker" if brokers == 1 else f"{brokers} brokers"
        say(f"Apache Kafka, {count}, at {kafka.bootstrap_servers}")
        say(f"export KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap_servers}")
        say(f"data in {data}, kept" if data else "data in a temporary folder, removed at the end")
        say("Ctrl-C ends it")
        while not ended.wait(_LOOK_SECONDS):
            for broker in range(brokers):
                if not kafka.running(broker):
                    raise BrokerError(f"broker {broker} ended by itself\n{kafka.log_tail(broker)}")


@contextmanager
def _until_signal() -> Iterator[threading.Event]:
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
