"""Topics that were made anew, by what a slow or silent Kafka tells of their ids."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

from confluent_kafka import TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.identity import Identity


class Asked:
    """An admin client whose questions are answered by the test."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Future[Any]]] = []

    def describe_topics(
        self, topics: TopicCollection, *, request_timeout: float
    ) -> dict[str, Future[Any]]:
        assert request_timeout > 0
        self.answers.append({name: Future() for name in topics.topic_names})
        return self.answers[-1]

    def tell(self, **ids: int) -> None:
        """Answers the last question."""
        for name, number in ids.items():
            self.answers[-1][name].set_result(SimpleNamespace(topic_id=Uuid(0, number)))


def _identity() -> tuple[Asked, Identity]:
    asked = Asked()
    identity = Identity(cast(AdminClient, asked), ["b", "a"])
    identity.ask()
    return asked, identity


def test_a_topic_with_another_id_is_told_once() -> None:
    asked, identity = _identity()
    asked.tell(a=1, b=1)
    assert identity.anew() == set()
    identity.ask()
    asked.tell(a=2, b=1)
    assert identity.anew() == {"a"}
    assert identity.anew() == set()
    identity.ask()
    asked.tell(a=2, b=3)
    assert identity.anew() == {"b"}


def test_answers_are_waited_for_by_nobody_and_never_passed_over() -> None:
    asked, identity = _identity()
    asked.tell(a=1)
    identity.ask()
    assert identity.anew() == set()
    assert len(asked.answers) == 1  # one of the answers is still to come
    asked.tell(b=1)
    identity.ask()
    asked.tell(a=2, b=1)
    identity.ask()
    assert len(asked.answers) == 3
    assert identity.anew() == {"a"}


def test_where_kafka_tells_no_id_nothing_was_made_anew() -> None:
    asked, identity = _identity()
    asked.tell(a=0, b=1)
    identity.ask()
    asked.answers[-1]["a"].set_exception(TimeoutError())
    asked.answers[-1]["b"].cancel()
    identity.ask()
    asked.tell(a=1, b=1)
    assert identity.anew() == set()


def test_nothing_is_asked_about_no_topics() -> None:
    asked = Asked()
    identity = Identity(cast(AdminClient, asked), [])
    identity.ask()
    assert asked.answers == []
    assert identity.anew() == set()
