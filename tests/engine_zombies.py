"""A worker by hand, for the moments in which a real one would have to be stopped exactly."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from stream.adapters.kafka.clients import Connection
from stream.engine.positions import POSITIONS, write_positions
from tests.engine_setup import Deployment, until

__all__ = ["Zombie"]


class Zombie:
    """A member of the counting agent's group that owns all tasks and moves when it is told to."""

    def __init__(self, deployment: Deployment, transaction_timeout_ms: int = 60_000) -> None:
        self._deployment = deployment
        connection = Connection(deployment.bootstrap, "zombie")
        group = f"{deployment.prefix}count"
        self.consumer: Consumer = connection.group_consumer(group, 6_000, "")
        self.producer: Producer = connection.producer("zombie", transaction_timeout_ms)
        self.producer.init_transactions(30)
        self.group = None

    def join(self) -> None:
        """Becomes the owner of all tasks."""
        names = [self._deployment.prefix + topic for topic in self._deployment.inputs]
        self.consumer.subscribe(names)
        every = self._deployment.partitions * len(names)

        def owner() -> bool:
            self.consumer.consume(100, 0.05)
            return len(self.consumer.assignment()) == every

        until(owner, what="the zombie's assignment")
        self.group = self.consumer.consumer_group_metadata()

    def write(self, task: int, total: int, position: int) -> None:
        """Writes a task's state in an open transaction, and an output of its growth."""
        prefix = self._deployment.prefix
        changelog = f"{prefix}count-changelog"
        self.producer.produce(changelog, b"%d" % total, b"total", task)
        positions = write_positions({"numbers": position}, {})
        self.producer.produce(changelog, positions, POSITIONS, task)
        self.producer.produce(f"{prefix}grown", b"%d" % total, b"%d" % task, task)
        self.producer.flush(10)

    def send_offsets(self, *positions: int) -> None:
        """Adds the positions of tasks 0, 1, ... to the open transaction."""
        name = self._deployment.prefix + "numbers"
        offsets = [TopicPartition(name, task, at) for task, at in enumerate(positions)]
        self.producer.send_offsets_to_transaction(offsets, self.group, 10)
