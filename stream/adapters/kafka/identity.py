"""Whether a topic is still the one it was: Kafka gives one that is made anew another id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from confluent_kafka import TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported
    AdminClient,
    TopicDescription,
)

__all__ = ["Identity"]

_SECONDS = 5.0
_NONE = "A" * 22  # zeros: what brokers before Kafka 2.8 give every topic


class Identity:
    """Follows the ids of topics, and waits for nobody: an answer is taken when it has come.

    Where Kafka doesn't tell ids (it is away, or embedded), no topic counts as made anew.
    """

    def __init__(self, admin: AdminClient, topics: Iterable[str]) -> None:
        self._admin = admin
        self._topics = sorted(topics)
        self._ids: dict[str, str] = {}
        self._anew: set[str] = set()
        self._asked: Mapping[str, Future[TopicDescription]] = {}

    def ask(self) -> None:
        """Asks for the ids, where no answer is awaited any more."""
        self._take()
        if self._topics and all(answer.done() for answer in self._asked.values()):
            self._asked = self._admin.describe_topics(
                TopicCollection(self._topics), request_timeout=_SECONDS
            )

    def anew(self) -> frozenset[str]:
        """The topics that Kafka tells another id of than before; each change is told once."""
        self._take()
        anew, self._anew = frozenset(self._anew), set()
        return anew

    def _take(self) -> None:
        for topic, answer in self._asked.items():
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                told = str(answer.result().topic_id)
                if told != _NONE and self._ids.setdefault(topic, told) != told:
                    self._ids[topic] = told
                    self._anew.add(topic)
