"""One run's ground: the workload under a prefix of its own, and how far the workers have got."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from confluent_kafka import Consumer, IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.offsets import Partition, committed, ends
from stream.adapters.kafka.topics import ensure_topics
from stream.cli.digest.canonical import Digest, Place, Window
from stream.cli.digest.command import digest_now
from stream.cli.workload import make_topics, produce, worker_settings
from stream.core.errors import BrokerError
from stream.settings import Settings, load_settings
from stream.topics import MAX_PARTIALS_PARTITIONS
from stream.worker import AGENTS
from stream.workload import Plan, Workload, workload
from stream.workload.records import SOURCES
from tests.kafka_io import read_all

__all__ = ["Ground", "made"]

_ASK_SECONDS = 5.0
_SILENT = logging.getLogger("tests.chaos.ground")  # brokers that are killed are no news here
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


@cache
def made(plan: Plan) -> Workload:
    """The workload of a plan, made once a process."""
    return workload(plan)


@dataclass(slots=True)
class Ground:
    """A workload's topics on some brokers under a prefix.

    `appended` topics are those that driftstream makes by itself, with the broker's timestamps;
    others keep the workload's, which are long past.
    """

    bootstrap_servers: str
    prefix: str
    plan: Plan
    appended: bool = False
    _admin: AdminClient = field(init=False, repr=False)
    _groups: dict[str, Consumer] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        conf: dict[str, str | int | float | bool] = {"bootstrap.servers": self.bootstrap_servers}
        self._admin = AdminClient(conf, logger=_SILENT)
        self._groups = {agent: self._asking(agent) for agent in AGENTS}

    def close(self) -> None:
        """Closes what asks for offsets."""
        for asking in self._groups.values():
            asking.close()

    @property
    def settings(self) -> Settings:
        """What a command on this ground is told."""
        return load_settings({}, environ=self.environ)

    @property
    def producing(self) -> Settings:
        """The same for what fills topics: few records a batch, so that fetches may be small."""
        few = {"DRIFTSTREAM_KAFKA_BATCH_NUM_MESSAGES": "4"}
        return load_settings({}, environ={**self.environ, **few})

    @property
    def environ(self) -> dict[str, str]:
        """What a worker on this ground is told."""
        own = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "DRIFTSTREAM_TOPIC_PREFIX": self.prefix,
        }
        return {**own, **worker_settings(load_settings({}, environ=own))}

    @property
    def total(self) -> int:
        """How many records the sources will hold."""
        return len(made(self.plan).records)

    def prepare(self, held: Sequence[str] = ()) -> None:
        """Makes the topics and fills them; those `held` stay empty until they are released."""
        if self.appended:
            conf = self.settings.client_config()
            ensure_topics(conf, self.prefix, source_partitions=self.plan.partitions)
        else:
            make_topics(self.settings, self.plan)
        produce(self.producing, made(self.plan).setup)
        self.release([topic for topic in SOURCES if topic not in held])

    def release(self, topics: Sequence[str]) -> None:
        """Fills these topics."""
        produce(self.producing, [each for each in made(self.plan).records if each.topic in topics])

    def observed(self) -> int:
        """Records of the sources that are committed as read; 0 while nobody answers."""
        return sum(self._committed("observe", SOURCES).values())

    def behind(self, topics: Sequence[str] = SOURCES) -> int:
        """Records of the sources that aren't committed as read; -1 while nobody answers."""
        return self._behind("observe", self.ends(topics))

    def partials(self) -> Mapping[Partition, int]:
        """The ends of the partials now; detect passes them while it works."""
        return self.ends(["partials"])

    def detected(self, told: Mapping[Partition, int]) -> bool:
        """Whether detect has committed all partials up to these ends."""
        return bool(told) and self._behind("detect", told) == 0

    def lags(self) -> str:
        """Which partitions aren't read to their ends, in words."""
        told = []
        for agent, topics in (("observe", SOURCES), ("detect", ("partials",))):
            committed, ends = self._committed(agent, topics), self.ends(topics)
            told += [
                f"{name.removeprefix(self.prefix)}/{place} {end - committed.get((name, place), 0)}"
                for (name, place), end in sorted(ends.items())
                if end != committed.get((name, place), 0)
            ]
        return f"behind: {', '.join(told) or 'nothing'}"

    def ends(
        self, topics: Sequence[str], isolation: IsolationLevel = IsolationLevel.READ_COMMITTED
    ) -> Mapping[Partition, int]:
        """The topics' ends, stable ones if not told otherwise; empty while nobody answers."""
        try:
            names = [self.prefix + topic for topic in topics]
            known = self._admin.list_topics(timeout=_ASK_SECONDS).topics
            wanted = [(name, place) for name in names for place in known[name].partitions]
            return ends(self._admin, wanted, isolation)
        except (BrokerError, KafkaException):
            return {}

    def hidden(self) -> str:
        """Where open transactions hide records, in words."""
        topics = ("observe-changelog", "detect-changelog", "partials", "windows", "alerts")
        stable = self.ends(topics)
        told = [
            f"{name.removeprefix(self.prefix)}/{place} {stable.get((name, place))} to {end}"
            for (name, place), end in sorted(
                self.ends(topics, IsolationLevel.READ_UNCOMMITTED).items()
            )
            if end != stable.get((name, place))
        ]
        return ", ".join(told)

    def missing(self, digest: Digest, moving: str = "") -> list[str]:
        """Which of the workload's last windows, but for those of one kind, aren't there yet."""
        there = {
            (what.model, what.version, what.kind, what.end_ms)
            for found in (*digest.windows, *digest.moved)
            if isinstance(what := found.what, Window) and not what.segment
        }
        lasts = [last for last in made(self.plan).last if last.kind != moving]
        return [str(last) for last in lasts if last not in there]

    def there(self, digest: Digest) -> str:
        """How many windows of each model and kind there are, and where the last one ends."""
        ends: dict[str, list[int]] = {}
        for found in (*digest.windows, *digest.moved):
            if isinstance(what := found.what, Window) and not what.segment:
                name = f"{what.model}@{what.version} {what.kind}"
                ends.setdefault(name, []).append(what.end_ms)
        told = (f"{name}: {len(all_)} to {max(all_)}" for name, all_ in sorted(ends.items()))
        return ", ".join(told)

    def digest(self) -> Digest:
        """Of all windows and incidents as they stand."""
        return digest_now(self.settings)

    def bodies(self, places: Collection[Place]) -> Mapping[Place, str]:
        """The records at these places, as text."""
        found = {}
        for topic in sorted({place.topic for place in places}):
            for read in read_all(self.bootstrap_servers, self.prefix + topic):
                place = Place(topic, read.partition, read.offset)
                if place in places:
                    found[place] = (read.value or b"").decode()
        return found

    def _asking(self, agent: str) -> Consumer:
        """Asks for a group's offsets and never joins it; doesn't wait for open transactions."""
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": self.prefix + agent,
                "isolation.level": "read_uncommitted",
                "reconnect.backoff.max.ms": 1_000,
            },
            logger=_SILENT,
        )

    def _behind(self, agent: str, told: Mapping[Partition, int]) -> int:
        topics = sorted({name.removeprefix(self.prefix) for name, _ in told})
        committed = self._committed(agent, topics)
        if not told or not committed:
            return -1
        return sum(max(0, end - committed.get(place, 0)) for place, end in told.items())

    def _committed(self, agent: str, topics: Sequence[str]) -> dict[Partition, int]:
        counts = {"partials": min(self.plan.partitions, MAX_PARTIALS_PARTITIONS)}
        wanted = [
            (self.prefix + topic, place)
            for topic in topics
            for place in range(counts.get(topic, self.plan.partitions))
        ]
        try:
            return committed(self._groups[agent], wanted, _ASK_SECONDS)
        except BrokerError:
            return {}
