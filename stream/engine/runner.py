"""Drives an agent on Kafka until told to stop, whatever happens to the brokers meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import said
from stream.core.errors import BrokerError, ConfigError, FatalBrokerError, StateError, TopicError
from stream.engine.agent import Agent
from stream.engine.observer import EngineObserver, SilentObserver
from stream.engine.pace import Pace
from stream.engine.session import Session
from stream.engine.settings import EngineSettings
from stream.engine.topology import Topology, look_up

__all__ = ["Runner"]

_log = logging.getLogger("stream.engine")

_ENDING = (ConfigError, FatalBrokerError, StateError, TopicError)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Runner:
    """Drives one agent on Kafka, exactly once; `run` blocks and is called once.

    `clock` gives UTC milliseconds. Several runners may share a process, each in its thread.
    """

    session: type[Session] = Session

    def __init__(
        self,
        agent: Agent,
        settings: EngineSettings,
        observer: EngineObserver | None = None,
        clock: Callable[[], int] = _wall_ms,
    ) -> None:
        self._agent = agent
        self._settings = settings
        self._observer = observer or SilentObserver()
        self._clock = clock
        self._ready: bool | None = None

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; then commits, leaves the group and returns.

        A broker that is away is waited for. Raises FatalBrokerError when only a new process
        helps, StateError, TopicError or ConfigError when a person must act, and an agent's own
        exception when it comes `max_failures` times with no commit between.
        """
        self._say_ready(False)
        session = self._connect(stop)
        if session is None:
            return
        try:
            while not stop.is_set():
                self._turn(session, stop)
            session.finish()
        except (BrokerError, KafkaException) as error:
            if not stop.is_set():
                raise
            _log.warning("%s leaves without a last commit: %s", self._agent.name, said(error))
        finally:
            self._say_ready(False)
            session.close()

    def _turn(self, session: Session, stop: threading.Event) -> None:
        """One turn; after a failure that may pass, an abort and a pause (none when leaving)."""
        try:
            session.turn()
            self._say_ready(session.ready())
            return
        except _ENDING:
            raise
        except (BrokerError, KafkaException) as error:
            if stop.is_set():
                raise
            _log.warning("%s goes back to its last commit: %s", self._agent.name, said(error))
            reason = "kafka"
        except Exception as error:  # noqa: BLE001  # the agent's boundary: logged, raised at last
            self._count(session, error)
            reason = "agent"
        self._say_ready(False)
        session.start_over(reason)
        stop.wait(session.pace.backoff())

    def _connect(self, stop: threading.Event) -> Session | None:
        """A session that has joined the group; None where it was told to stop before."""
        agent, settings = self._agent, self._settings
        client_id = f"{settings.group(agent.name)}-{settings.instance_id or 'worker'}"
        connection = Connection(settings.bootstrap_servers, client_id, settings.kafka)
        admin = connection.admin()
        pace = Pace(settings)
        while not stop.is_set():
            try:
                topology = look_up(agent, admin, settings)
                return self._joined(connection, admin, topology, stop)
            except FatalBrokerError:
                raise
            except (BrokerError, KafkaException) as error:
                _log.warning("%s waits for Kafka: %s", agent.name, said(error))
                stop.wait(pace.backoff())
        return None

    def _joined(
        self,
        connection: Connection,
        admin: AdminClient,
        topology: Topology,
        stop: threading.Event,
    ) -> Session:
        session = self.session(
            self._agent,
            self._settings,
            self._observer,
            self._clock,
            connection,
            admin,
            topology,
            stop.is_set,
            lambda: self._say_ready(False),
        )
        with ExitStack() as undo:  # its clients must not outlive a beginning that failed
            undo.callback(session.close)
            session.begin()
            undo.pop_all()
        return session

    def _count(self, session: Session, error: Exception) -> None:
        """An agent's exception: logged, and raised again when it keeps coming."""
        session.failures += 1
        _log.error(
            "%s failed (%d of %d in a row) and starts over from its last commit; read since: %s",
            self._agent.name, session.failures, self._settings.max_failures, session.uncommitted(),
            exc_info=error,
        )  # fmt: skip
        if session.failures >= self._settings.max_failures:
            raise error

    def _say_ready(self, ready: bool) -> None:
        if ready != self._ready:
            self._ready = ready
            self._observer.ready(self._agent.name, ready)
